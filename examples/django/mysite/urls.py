"""The addresses of the site."""

from django.urls import path
from polls import views

urlpatterns = [
    path("", views.index),
    path("log", views.log),
    path("fail", views.fail),
]
