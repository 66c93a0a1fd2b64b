// SPDX-License-Identifier: Apache-2.0
//
// From fork to the first answered ApiVersions request, and the memory held half a second later.
//
//   bench_coldstart PORT RUNS COMMAND ARGS...      the command must serve 127.0.0.1:PORT in the
//   foreground
//
// Prints "ms <median>", "ms_min", "ms_max", "rss_mib <median>".
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bench/bench.h"

enum { RUNS_MAX = 64 };

// ApiVersions v0 with correlation id 1 and an empty client id; true when 4 bytes of answer came.
static bool answered(int port)
{
    static const char request[] = "\0\0\0\x0a\0\x12\0\0\0\0\0\1\0\0";
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char reply[4];
    bool ok = connect(fd, (struct sockaddr *)&a, sizeof a) == 0 &&
              send(fd, request, sizeof request - 1, MSG_NOSIGNAL) == (ssize_t)sizeof request - 1 &&
              recv(fd, reply, sizeof reply, MSG_WAITALL) == (ssize_t)sizeof reply;

    close(fd);
    return ok;
}

static double rss_mib(pid_t pid)
{
    char path[64], line[256];
    double mib = 0;
    FILE *f;

    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    f = fopen(path, "r");
    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        if (strncmp(line, "VmRSS:", 6) == 0)
            mib = strtod(line + 6, NULL) / 1024;
    if (f != NULL)
        fclose(f);
    return mib;
}

static pid_t launch(char **command)
{
    pid_t pid = fork();

    if (pid == 0) {
        int null = open("/dev/null", O_RDWR);
        dup2(null, 1);
        dup2(null, 2);
        execvp(command[0], command);
        _exit(127);
    }
    return pid;
}

int main(int argc, char **argv)
{
    double ms[RUNS_MAX], mib[RUNS_MAX];
    struct timespec pause = {.tv_nsec = 200000}, settle = {.tv_nsec = 500000000};

    if (argc < 4) {
        fprintf(stderr, "usage: bench_coldstart PORT RUNS COMMAND...\n");
        return 2;
    }
    int port = (int)strtol(argv[1], NULL, 10), runs = (int)strtol(argv[2], NULL, 10);
    if (runs < 1 || runs > RUNS_MAX || answered(port)) {
        fprintf(stderr, "bench: 1 to %d runs, on a free port\n", RUNS_MAX);
        return 2;
    }
    for (int i = 0; i < runs; i++) {
        uint64_t start = bench_now_ns();
        pid_t pid = launch(argv + 3);
        while (!answered(port)) {
            if (bench_now_ns() - start > 30000000000u || waitpid(pid, NULL, WNOHANG) == pid)
                bench_die("the server did not start");
            nanosleep(&pause, NULL);
        }
        ms[i] = (double)(bench_now_ns() - start) / 1e6;
        nanosleep(&settle, NULL);
        mib[i] = rss_mib(pid);
        kill(pid, SIGTERM);
        waitpid(pid, NULL, 0);
    }
    printf("ms %.2f\n", bench_quantile(ms, (size_t)runs, 0.5));
    printf("ms_min %.2f\nms_max %.2f\n", ms[0], ms[runs - 1]);
    printf("rss_mib %.1f\n", bench_quantile(mib, (size_t)runs, 0.5));
    return 0;
}
