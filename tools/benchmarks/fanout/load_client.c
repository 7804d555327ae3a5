/* Load client of the fan-out benchmark: opens many WebSockets from one thread and counts the boards.
 *
 *     load_client HOST PORT PATH SOCKETS CONCURRENCY [engine.io]
 *
 * Opens SOCKETS sockets, at most CONCURRENCY at a time under way, and waits for the first frame with a
 * revision on each. SOCKETS may be a sum, FIRST+REST: then it opens and reports the first ones, waits for a
 * line, and opens and reports the rest. A revision is the moment the board was made (µs since 1970, CLOCK_REALTIME), so the
 * time from there to the arrival at the last socket is known without the server's help. Prints one line
 * of JSON when all are open, and one for each line on standard input: what arrived since the last line.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTING, HANDSHAKE, OPEN, DEAD };
enum { HEAD = 192, BOARDS = 1 << 16, CHUNK = 1 << 16 };

struct sock {
    int fd, state, answered;      /* answered: has had its first board */
    uint32_t have;                /* bytes of `head` filled */
    uint64_t total, seen;         /* length of the frame (0: not known yet), bytes of it seen */
    int64_t started, revision;    /* µs; newest revision seen */
    unsigned char head[HEAD];     /* start of the frame, or end of the handshake */
};
struct board { int64_t revision, last; uint32_t count; };

static struct sock *socks;
static struct board boards[BOARDS];
static uint32_t complete[BOARDS];
static int count, started, opened, failed, lost, epoll_fd, engine_io, n_complete;
static int64_t deliveries, bytes, older, slowest_first, mark_at;
static double mark_cpu;
static char request[512];
static struct sockaddr_in address;

static int64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

static double cpu(void) {
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return u.ru_utime.tv_sec + u.ru_stime.tv_sec + (u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void drop(struct sock *s) {
    if (s->state == DEAD) return;
    if (s->answered) lost++; else failed++;
    s->state = DEAD;
    close(s->fd);
}

static void say(struct sock *s, int opcode, const void *text, size_t length) { /* masked with zeros */
    unsigned char frame[6 + 125] = {0x80 | opcode, 0x80 | length};
    memcpy(frame + 6, text, length);
    if (write(s->fd, frame, 6 + length) < 0) drop(s);
}

static void start(struct sock *s) {
    int one = 1;
    s->started = now();
    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(s->fd, (struct sockaddr *)&address, sizeof address) && errno != EINPROGRESS) {
        drop(s);
        return;
    }
    struct epoll_event e = {.events = EPOLLOUT, .data.ptr = s};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, s->fd, &e);
}

static void board_arrived(struct sock *s, int64_t revision, int64_t at) {
    if (!s->answered) {
        s->answered = 1;
        opened++;
        if (at - s->started > slowest_first) slowest_first = at - s->started;
        return;
    }
    deliveries++;
    if (revision < s->revision) older++;
    s->revision = revision;
    struct board *b = &boards[(revision * 0x9E3779B97F4A7C15ULL) >> 48];
    if (b->revision != revision) *b = (struct board){.revision = revision};
    b->last = at;
    if (++b->count == (uint32_t)(opened - lost) && n_complete < BOARDS) complete[n_complete++] = at - revision;
}

static void frame_arrived(struct sock *s, int64_t at) {
    int opcode = s->head[0] & 15, small = (s->head[1] & 127) < 126;
    unsigned char *payload = s->head + (small ? 2 : (s->head[1] & 127) == 126 ? 4 : 10);
    if (opcode == 9) say(s, 10, payload, s->total - 2);
    if (opcode == 8) drop(s);
    if (opcode != 1) return;
    if (engine_io && payload[0] == '0') say(s, 1, "40", 2);
    if (engine_io && payload[0] == '2') say(s, 1, "3", 1);
    char *found = memmem(payload, s->head + s->have - payload, "\"revision\":", 11);
    if (found) board_arrived(s, atoll(found + 11), at);
}

static void consume(struct sock *s, unsigned char *data, size_t length, int64_t at) {
    while (length && s->state == OPEN) {
        uint64_t room = s->total ? s->total - s->seen : HEAD;
        size_t take = s->total ? (length < room ? length : room) : 1;
        for (size_t i = 0; i < take && s->have < HEAD - 1; i++) s->head[s->have++] = data[i];
        s->seen += take, data += take, length -= take;
        if (!s->total && s->have >= 2) {
            int code = s->head[1] & 127;
            if (code < 126) s->total = 2 + code;
            else if (code == 126 && s->have == 4) s->total = 4 + (s->head[2] << 8 | s->head[3]);
            else if (s->have == 10) s->total = 10 + (s->head[6] << 24 | s->head[7] << 16 | s->head[8] << 8 | s->head[9]);
        }
        if (s->total && s->seen == s->total) {
            s->head[s->have] = 0;
            frame_arrived(s, at);
            s->have = 0, s->total = s->seen = 0;
        }
    }
}

static void readable(struct sock *s) {
    static unsigned char chunk[CHUNK];
    ssize_t n = read(s->fd, chunk, CHUNK);
    if (n <= 0) {
        if (n == 0 || errno != EAGAIN) drop(s);
        return;
    }
    int64_t at = now();
    unsigned char *data = chunk;
    bytes += n;
    if (s->state == HANDSHAKE) { /* the status line and "\r\n\r\n" must arrive in one piece: they do */
        unsigned char *end = memmem(chunk, n, "\r\n\r\n", 4);
        if (!end || n < 12 || memcmp(chunk + 9, "101", 3)) {
            drop(s);
            return;
        }
        s->state = OPEN;
        data = end + 4;
        n -= data - chunk;
    }
    consume(s, data, n, at);
}

static void event(struct sock *s, uint32_t events) {
    if (s->state != CONNECTING) {
        readable(s);
        return;
    }
    if (events & (EPOLLERR | EPOLLHUP) || write(s->fd, request, strlen(request)) < 0) {
        drop(s);
        return;
    }
    s->state = HANDSHAKE;
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = s};
    epoll_ctl(epoll_fd, EPOLL_CTL_MOD, s->fd, &e);
}

static void report(void) {
    int64_t at = now();
    double used = cpu();
    printf("{\"sockets\":%d,\"failed\":%d,\"lost\":%d,\"older\":%ld,\"slowest_first_us\":%ld,\"deliveries\":%ld,"
           "\"bytes\":%ld,\"seconds\":%.6f,\"cpu_s\":%.6f,\"last_us\":[",
           opened - lost, failed, lost, older, slowest_first, deliveries, bytes, (at - mark_at) / 1e6, used - mark_cpu);
    for (int i = 0; i < n_complete; i++) printf(i ? ",%u" : "%u", complete[i]);
    printf("]}\n");
    fflush(stdout);
    deliveries = bytes = n_complete = 0;
    mark_at = at, mark_cpu = used;
}

int main(int argc, char **argv) {
    if (argc < 6) return 2;
    char *rest;
    int concurrency = atoi(argv[5]), wanted = strtol(argv[4], &rest, 10), reported = -1;
    count = wanted + atoi(rest);
    engine_io = argc > 6;
    address = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(atoi(argv[2]))};
    inet_pton(AF_INET, argv[1], &address.sin_addr);
    snprintf(request, sizeof request,
             "GET %s HTTP/1.1\r\nHost: %s:%s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
             "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
             "User-Agent: load-client\r\nCache-Control: no-cache\r\n\r\n", argv[3], argv[1], argv[2]);
    socks = calloc(count, sizeof *socks);
    epoll_fd = epoll_create1(0);
    struct epoll_event events[512], input = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, 0, &input);
    mark_at = now(), mark_cpu = cpu();
    for (;;) {
        while (started < wanted && started - opened - failed < concurrency) start(&socks[started++]);
        if (reported < wanted && opened + failed >= wanted) {
            report();
            reported = wanted;
        }
        int n = epoll_wait(epoll_fd, events, 512, 1000);
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr) {
                event(events[i].data.ptr, events[i].events);
                continue;
            }
            char line[64];
            if (read(0, line, sizeof line) <= 0) return 0;
            if (wanted == count) report();
            else wanted = count, mark_at = now(), mark_cpu = cpu();
        }
    }
}
