/* The limit of the machine: an epoll loop in C with one send for each socket: loop PORT
 * Driven like driver.py. The handshake answers any key with the token of the load client's. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static int sockets[65536], count;
static char frame[2048];

static int64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

static size_t make_frame(void) {
    char *body = frame + 4;
    int n = sprintf(body, "{\"type\":\"board\",\"revision\":%ld,\"asOf\":\"2026-01-01T00:00:00.000Z\",\"top10\":[", now());
    for (int i = 1; i <= 10; i++)
        n += sprintf(body + n, "%s{\"rank\":%d,\"userId\":\"USER-%06d\",\"name\":null,\"score\":%d}", i > 1 ? "," : "", i,
                     i, 987654321 - i);
    n += sprintf(body + n, "]}");
    frame[0] = (char)0x81, frame[1] = 126, frame[2] = n >> 8, frame[3] = n & 255;
    return n + 4;
}

static void publish(void) {
    size_t length = make_frame();
    for (int i = 0; i < count; i++) (void)!send(sockets[i], frame, length, MSG_NOSIGNAL);
}

static void shake_hands(int fd) {
    char request[4096], answer[4096];
    if (read(fd, request, sizeof request) <= 0) {
        close(fd);
        return;
    }
    int n = sprintf(answer, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                            "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n");
    size_t length = make_frame();
    memcpy(answer + n, frame, length);
    (void)!send(fd, answer, n + length, MSG_NOSIGNAL);
    sockets[count++] = fd;
}

static void run(double seconds, double interval_ms) {
    int64_t began = now(), boards = 0;
    while (now() - began < seconds * 1e6) {
        publish();
        boards++;
        int64_t wait = began + boards * interval_ms * 1000 - now();
        if (interval_ms > 0 && wait > 0) usleep(wait);
    }
    printf("done %ld\n", boards);
    fflush(stdout);
}

int main(int argc, char **argv) {
    int one = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), epoll = epoll_create1(0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[argc - 1]))};
    inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 4096)) return 1;
    struct epoll_event e = {.events = EPOLLIN, .data.fd = listener}, events[256];
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &e);
    e.data.fd = 0;
    epoll_ctl(epoll, EPOLL_CTL_ADD, 0, &e);
    for (;;) {
        int n = epoll_wait(epoll, events, 256, -1);
        for (int i = 0; i < n; i++) {
            int fd = events[i].data.fd;
            if (fd == 0) {
                char line[64] = "";
                double seconds, interval;
                if (read(0, line, sizeof line - 1) <= 0) return 0;
                if (sscanf(line, "run %lf %lf", &seconds, &interval) == 2) run(seconds, interval);
            } else if (fd == listener) {
                for (int client; (client = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0;) {
                    setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                    struct epoll_event first = {.events = EPOLLIN | EPOLLONESHOT, .data.fd = client};
                    epoll_ctl(epoll, EPOLL_CTL_ADD, client, &first);
                }
            } else {
                shake_hands(fd);
            }
        }
    }
}
