/* A slower disk, for LD_PRELOAD: every fsync and fdatasync takes BENCH_FLUSH_US microseconds longer.
   cc -O2 -shared -fPIC -o flush.so flush.c -ldl */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>

typedef int (*flush)(int);

static void linger(void) {
    const char *asked = getenv("BENCH_FLUSH_US");
    long us = asked ? atol(asked) : 0;
    if (us > 0) {
        struct timespec wait = {us / 1000000, (us % 1000000) * 1000};
        nanosleep(&wait, NULL);
    }
}

static int slowly(const char *name, int file) {
    flush real = (flush)dlsym(RTLD_NEXT, name);
    int answer = real(file);
    linger();
    return answer;
}

int fsync(int file) { return slowly("fsync", file); }
int fdatasync(int file) { return slowly("fdatasync", file); }
