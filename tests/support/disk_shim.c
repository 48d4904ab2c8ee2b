/* Stands between a program and its log disk: while the file $SHIM_FLAG exists, every write to a file
 * below $SHIM_DIRECTORY fails with EIO. To be preloaded. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

ssize_t write(int fd, const void *data, size_t size)
{
    static ssize_t (*real)(int, const void *, size_t);
    const char *flag = getenv("SHIM_FLAG"), *directory = getenv("SHIM_DIRECTORY");
    char link[64], path[PATH_MAX];
    ssize_t length;

    if (!real)
        real = (ssize_t (*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
    if (flag && directory && access(flag, F_OK) == 0) {
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        length = readlink(link, path, sizeof path);
        if (length > 0 && strncmp(path, directory, strlen(directory)) == 0) {
            errno = EIO;
            return -1;
        }
    }
    return real(fd, data, size);
}
