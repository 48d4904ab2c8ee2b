"""The commands of ``python -m queuelog``: what can be seen from outside of a server.

check        what a conf file and an application configure, before a server is started
conffile     what is wrong with a conf file's hooks
"""
