/*
 * One end of one association, led line by line through its standard input. The
 * same program on two SCTPs: the kernel's (cc peer.c -lsctp -lpthread) and
 * libusrsctp's (cc -DUSRSCTP peer.c -lusrsctp -lpthread).
 *
 *   peer [-s] [-l LOCAL]... [-p PORT] [-r REMOTE]... [-P PORT] [-o KEY=VALUE]...
 *
 * -s: waits for the association (prints "listening"); else opens it to the -r
 * addresses, at the line "connect". Prints "up in=N out=N" once there is one.
 * -o streams=N    streams to ask for and to accept       -o nodelay=1
 *    v6=1         IPv6 addresses may come later, though there is none in the command line
 *    udp=PORT     encapsulation in UDP, to this port (libusrsctp: from it, too); 0: none
 *    plain=1      messages of zeros and no sums, for measuring
 *    rto=I:MIN:MAX in ms   hb=MS   retrans=ASSOC:PATH   -o sndbuf=N rcvbuf=N
 * Lines:
 *   send COUNT SIZE[,SIZE]... [unordered] [on=SID] [key=ID] [ttl=MS | rtx=N | prio=N]
 *                   "sent ..." once all is handed over
 *   await COUNT     "received ..." once so many messages have come in all
 *   await-one K     the same, once message K has come
 *   missing FROM TO "missing count=N K,..." of the messages from FROM until before TO
 *   place K         "place at=N": message K was the Nth to come whole
 *   idle            "done" once all that was sent is acknowledged
 *   heartbeat ADDR  asks for a HEARTBEAT there at once
 *   paths           one line "path ADDR STATE errors..." each, then "paths end"
 *   primary ADDR    shutdown    abort
 *   ... and those of extensions.h, where more options are, too
 *   end             "ended how": eof, or an errno's text
 * Notifications are printed as they come ("note ...").
 *
 * Message K (from 0, over all sends) goes to stream K modulo their number or the one that is named, has
 * payload protocol identifier K and the bytes of fill(). "sum" adds a hash of
 * each message with its number and stream, so that order does not matter;
 * "disorder" counts messages that came before an earlier one of their stream.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifdef USRSCTP
#include <usrsctp.h>
typedef struct socket *sock;
#define BAD NULL
#define sctp_open(family) usrsctp_socket(family, SOCK_STREAM, IPPROTO_SCTP, NULL, NULL, 0, NULL)
#define sctp_set usrsctp_setsockopt
#define sctp_get usrsctp_getsockopt
#define sctp_end usrsctp_shutdown
#define sctp_listen usrsctp_listen
#define sctp_accept usrsctp_accept
#define sctp_bindx usrsctp_bindx
#define sctp_connectx usrsctp_connectx
#define sctp_getpaddrs usrsctp_getpaddrs
#define sctp_freepaddrs usrsctp_freepaddrs
static ssize_t put(sock s, const void *b, size_t n, struct sctp_sendv_spa *i)
{
    return usrsctp_sendv(s, b, n, NULL, 0, i, sizeof *i, SCTP_SENDV_SPA, 0);
}
static ssize_t get(sock s, void *b, size_t n, struct sctp_rcvinfo *i, int *flags)
{
    struct sockaddr_in6 from; socklen_t fl = sizeof from, il = sizeof *i; unsigned type = 0;
    return usrsctp_recvv(s, b, n, (void *)&from, &fl, i, &il, &type, flags);
}
#else
#include <netinet/sctp.h>
typedef int sock;
#define BAD -1
#define sctp_open(family) socket(family, SOCK_STREAM, IPPROTO_SCTP)
#define sctp_set setsockopt
#define sctp_get getsockopt
#define sctp_end shutdown
#define sctp_listen listen
#define sctp_accept accept
static ssize_t put(sock s, const void *b, size_t n, struct sctp_sendv_spa *i)
{
    struct iovec v = { (void *)b, n };
    return sctp_sendv(s, &v, 1, NULL, 0, i, sizeof *i, SCTP_SENDV_SPA, 0);
}
static ssize_t get(sock s, void *b, size_t n, struct sctp_rcvinfo *i, int *flags)
{
    struct iovec v = { b, n };
    struct sockaddr_in6 from; socklen_t fl = sizeof from, il = sizeof *i; unsigned type = 0;
    return sctp_recvv(s, &v, 1, (void *)&from, &fl, i, &il, &type, flags);
}
#endif

#define MAX_STREAMS 65536
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t news = PTHREAD_COND_INITIALIZER;
/* What has come so far; under the lock. */
static struct { unsigned count; uint64_t bytes, sum; unsigned disorder; int up, ended, error; } got;
#define MAX_NUMBERS 65536
/* Of each message, which one it was in the order of arrival, from 1; 0: it has not come. */
static unsigned came[MAX_NUMBERS];
static int streams;
static const char *opts[32];
static int nopts;

static void say(const char *f, ...)
{
    va_list a;
    va_start(a, f);
    flockfile(stdout);
    vprintf(f, a);
    putchar('\n');
    fflush(stdout);
    funlockfile(stdout);
    va_end(a);
}

static void fail(const char *what)
{
    say("failed %s: %s", what, strerror(errno));
    exit(1);
}

static void set(sock s, int opt, const void *v, socklen_t n, const char *what)
{
    if (sctp_set(s, IPPROTO_SCTP, opt, v, n)) fail(what);
}

/* ---- addresses and command line --------------------------------------------- */

static int any_v6;
struct list { unsigned char b[16 * sizeof(struct sockaddr_in6)]; int n; size_t len; };

static size_t parse(const char *s, int port, void *out)
{
    struct sockaddr_in *a4 = out; struct sockaddr_in6 *a6 = out;
    memset(out, 0, sizeof *a4);
    if (inet_pton(AF_INET, s, &a4->sin_addr) == 1) {
        a4->sin_family = AF_INET; a4->sin_port = htons(port);
        return sizeof *a4;
    }
    memset(out, 0, sizeof *a6);
    if (inet_pton(AF_INET6, s, &a6->sin6_addr) == 1) {
        a6->sin6_family = AF_INET6; a6->sin6_port = htons(port);
        return sizeof *a6;
    }
    say("bad address %s", s);
    exit(2);
}

static long option(const char *key, long otherwise)
{
    size_t n = strlen(key);
    for (int i = 0; i < nopts; i++)
        if (!strncmp(opts[i], key, n) && opts[i][n] == '=') return atol(opts[i] + n + 1);
    return otherwise;
}

static const char *option_text(const char *key)
{
    size_t n = strlen(key);
    for (int i = 0; i < nopts; i++)
        if (!strncmp(opts[i], key, n) && opts[i][n] == '=') return opts[i] + n + 1;
    return NULL;
}

static void subscribe(sock s, int type)
{
    struct sctp_event e;
    memset(&e, 0, sizeof e);
    e.se_type = type; e.se_on = 1;
    set(s, SCTP_EVENT, &e, sizeof e, "SCTP_EVENT");
}

#include "extensions.h"

/* ---- messages ---------------------------------------------------------- */

static void fill(uint32_t k, unsigned char *b, size_t n)
{
    uint64_t x = k;
    if (option("plain", 0)) { memset(b, 0, n); return; }
    for (size_t i = 0; i < n; i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        b[i] = x >> 56;
    }
}

static uint64_t hash(uint64_t h, const unsigned char *b, size_t n)
{
    if (option("plain", 0)) return 0;
    for (size_t i = 0; i < n; i++) h = (h ^ b[i]) * 0x100000001b3u;
    return h;
}

static uint64_t begin(uint32_t k, uint16_t sid)
{
    unsigned char b[6] = { k >> 24, k >> 16, k >> 8, k, sid >> 8, sid };
    return hash(0xcbf29ce484222325u, b, 6);
}

/* How to send, from the words behind the sizes. */
static void how(char *words, struct sctp_sendv_spa *i, int *sid)
{
    for (char *save, *w = strtok_r(words, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
        const char *value = strchr(w, '=') ? strchr(w, '=') + 1 : "";
        if (!strcmp(w, "unordered")) i->sendv_sndinfo.snd_flags = SCTP_UNORDERED;
        else if (!strncmp(w, "on=", 3)) *sid = atoi(value);
        else if (!strncmp(w, "key=", 4)) {
            i->sendv_flags |= SCTP_SEND_AUTHINFO_VALID;
            i->sendv_authinfo.auth_keynumber = atoi(value);
        } else if (policy(w)) {
            i->sendv_flags |= SCTP_SEND_PRINFO_VALID;
            i->sendv_prinfo.pr_policy = policy(w);
            i->sendv_prinfo.pr_value = atoi(value);
        } else { say("cannot send %s", w); exit(2); }
    }
}

static void transmit(sock s, char *args)
{
    static uint32_t next;
    char *save, *count = strtok_r(args, " ", &save), *sizes = strtok_r(NULL, " ", &save);
    size_t size[64]; int kinds = 0, sid = -1;
    for (char *w = sizes; w && kinds < 64; w = strchr(w, ',') ? strchr(w, ',') + 1 : NULL) size[kinds++] = strtoul(w, NULL, 10);
    if (!count || !kinds) { say("usage: send COUNT SIZE[,SIZE]... [HOW]..."); exit(2); }
    struct sctp_sendv_spa i;
    memset(&i, 0, sizeof i);
    i.sendv_flags = SCTP_SEND_SNDINFO_VALID;
    how(save, &i, &sid);
    struct sctp_sndinfo *si = &i.sendv_sndinfo;
    uint64_t bytes = 0, sum = 0;
    for (int n = atoi(count), at = 0; at < n; at++, next++) {
        size_t z = size[at % kinds];
        unsigned char *b = malloc(z);
        fill(next, b, z);
        si->snd_sid = sid < 0 ? next % (unsigned)streams : (unsigned)sid;
        si->snd_ppid = htonl(next);
        ssize_t r;
        do r = put(s, b, z, &i); while (r < 0 && errno == EINTR);
        if (r != (ssize_t)z) fail("send");
        sum += hash(begin(next, si->snd_sid), b, z);
        bytes += z;
        free(b);
    }
    say("sent count=%s bytes=%" PRIu64 " sum=%016" PRIx64, count, bytes, sum);
}

static const char *path_state(int state)
{
    switch (state) {
    case SCTP_ACTIVE: return "active";
    case SCTP_INACTIVE: return "inactive";
    case SCTP_UNCONFIRMED: return "unconfirmed";
    default: return "potentially-failed";
    }
}

static const char *text(const void *sa)
{
    static _Thread_local char b[INET6_ADDRSTRLEN];
    const struct sockaddr_in *a4 = sa; const struct sockaddr_in6 *a6 = sa;
    if (a4->sin_family == AF_INET) return inet_ntop(AF_INET, &a4->sin_addr, b, sizeof b);
    if (IN6_IS_ADDR_V4MAPPED(&a6->sin6_addr)) return inet_ntop(AF_INET, &a6->sin6_addr.s6_addr[12], b, sizeof b);
    return inet_ntop(AF_INET6, &a6->sin6_addr, b, sizeof b);
}

static void mark(int *what)
{
    pthread_mutex_lock(&lock);
    *what = 1;
    pthread_cond_broadcast(&news);
    pthread_mutex_unlock(&lock);
}

static void notification(const void *buf)
{
    const union sctp_notification *u = buf;
    switch (u->sn_header.sn_type) {
    case SCTP_ASSOC_CHANGE: {
        static const char *const states[] = { "none", "up", "lost", "restart", "shutdown-complete", "cannot-start" };
        unsigned state = u->sn_assoc_change.sac_state;
#ifndef USRSCTP
        state++;
#endif
        say("note assoc %s", state < 6 ? states[state] : "?");
        if (state == 1) mark(&got.up);
        break;
    }
    case SCTP_PEER_ADDR_CHANGE: {
        int state = u->sn_paddr_change.spc_state;
        const char *what = state == SCTP_ADDR_AVAILABLE ? "available" : state == SCTP_ADDR_UNREACHABLE ? "unreachable"
                         : state == SCTP_ADDR_CONFIRMED ? "confirmed" : state == SCTP_ADDR_ADDED ? "added"
                         : state == SCTP_ADDR_REMOVED ? "removed" : state == SCTP_ADDR_MADE_PRIM ? "made-primary" : "other";
        say("note path %s %s", text(&u->sn_paddr_change.spc_aaddr), what);
        break;
    }
    case SCTP_SHUTDOWN_EVENT: say("note shutdown"); break;
    case SCTP_REMOTE_ERROR: say("note error %04x", ntohs(u->sn_remote_error.sre_error)); break;
    default: if (!extension_notification(u)) say("note type %04x", u->sn_header.sn_type);
    }
}

/* Receives to the end: of whole messages, which may come in parts, as of notifications. */
static void *reader(void *arg)
{
    sock s = *(sock *)arg;
    static unsigned char buf[1 << 17];
    static uint32_t last[MAX_STREAMS];
    /* Parts of messages of several streams may come in turn (RFC 6458 section 8.1.20), ordered ones and others. */
    static struct { uint64_t h; size_t length; uint32_t k; } open[2][MAX_STREAMS], *m;
    for (;;) {
        struct sctp_rcvinfo ri; int flags = 0;
        memset(&ri, 0, sizeof ri);
        ssize_t n = get(s, buf, sizeof buf, &ri, &flags);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) {
            /* This is what the kernel may say after a graceful end. */
            got.error = n < 0 && errno != ENOTCONN ? errno : 0;
            mark(&got.ended);
            return NULL;
        }
        if (flags & MSG_NOTIFICATION) { notification(buf); continue; }
        m = &open[!!(ri.rcv_flags & SCTP_UNORDERED)][ri.rcv_sid];
        /* Of later parts in I-DATA the kernel tells the fragment's number in its place. */
        if (!m->length) m->k = ntohl(ri.rcv_ppid);
        uint32_t k = m->k;
        m->h = hash(m->length ? m->h : begin(k, ri.rcv_sid), buf, n);
        m->length += n;
        if (!(flags & MSG_EOR)) continue;
        pthread_mutex_lock(&lock);
        got.count++;
        got.bytes += m->length;
        got.sum += m->h;
        if (!(ri.rcv_flags & SCTP_UNORDERED)) {
            got.disorder += k + 1 <= last[ri.rcv_sid];
            last[ri.rcv_sid] = k + 1;
        }
        if (k < MAX_NUMBERS) came[k] = got.count;
        pthread_cond_broadcast(&news);
        pthread_mutex_unlock(&lock);
        m->length = 0;
    }
}

static void await(unsigned count, unsigned one)
{
    pthread_mutex_lock(&lock);
    while ((got.count < count || (one < MAX_NUMBERS && !came[one])) && !got.ended) pthread_cond_wait(&news, &lock);
    say("received count=%u bytes=%" PRIu64 " sum=%016" PRIx64 " disorder=%u", got.count, got.bytes, got.sum, got.disorder);
    pthread_mutex_unlock(&lock);
}

static void place(unsigned one)
{
    pthread_mutex_lock(&lock);
    say("place at=%u", one < MAX_NUMBERS ? came[one] : 0);
    pthread_mutex_unlock(&lock);
}

static void missing(const char *args)
{
    unsigned from = 0, to = 0, n = 0, at = 0; char list[4096] = "";
    sscanf(args, "%u %u", &from, &to);
    pthread_mutex_lock(&lock);
    for (; from < to && from < MAX_NUMBERS; from++)
        if (!came[from] && at < sizeof list - 12) at += sprintf(list + at, "%s%u", n++ ? "," : "", from);
    pthread_mutex_unlock(&lock);
    say("missing count=%u %s", n, list);
}

/* ---- options ------------------------------------------------------------ */

static void apply(sock s)
{
    const uint16_t types[] = { SCTP_ASSOC_CHANGE, SCTP_PEER_ADDR_CHANGE, SCTP_REMOTE_ERROR, SCTP_SHUTDOWN_EVENT };
    for (unsigned i = 0; i < sizeof types / sizeof *types; i++) subscribe(s, types[i]);
    int one = 1, n;
    set(s, SCTP_RECVRCVINFO, &one, sizeof one, "SCTP_RECVRCVINFO");
    if (option("nodelay", 0)) set(s, SCTP_NODELAY, &one, sizeof one, "SCTP_NODELAY");
    struct sctp_initmsg im;
    memset(&im, 0, sizeof im);
    im.sinit_num_ostreams = option("streams", 64);
    im.sinit_max_instreams = option("instreams", im.sinit_num_ostreams);
    set(s, SCTP_INITMSG, &im, sizeof im, "SCTP_INITMSG");
    if (option("udp", 0)) {
        struct sctp_udpencaps e;
        memset(&e, 0, sizeof e);
        e.sue_address.ss_family = any_v6 ? AF_INET6 : AF_INET;
        e.sue_port = htons(option("udp", 0));
        set(s, SCTP_REMOTE_UDP_ENCAPS_PORT, &e, sizeof e, "SCTP_REMOTE_UDP_ENCAPS_PORT");
    }
    if (option_text("rto")) {
        struct sctp_rtoinfo r;
        memset(&r, 0, sizeof r);
        sscanf(option_text("rto"), "%u:%u:%u", &r.srto_initial, &r.srto_min, &r.srto_max);
        set(s, SCTP_RTOINFO, &r, sizeof r, "SCTP_RTOINFO");
    }
    unsigned assoc = 0, path = 0;
    if (option_text("retrans")) {
        struct sctp_assocparams p;
        memset(&p, 0, sizeof p);
        sscanf(option_text("retrans"), "%u:%u", &assoc, &path);
        p.sasoc_asocmaxrxt = assoc;
        set(s, SCTP_ASSOCINFO, &p, sizeof p, "SCTP_ASSOCINFO");
    }
    if (path || option("hb", 0)) {
        struct sctp_paddrparams p;
        memset(&p, 0, sizeof p);
        p.spp_address.ss_family = any_v6 ? AF_INET6 : AF_INET;
        p.spp_hbinterval = option("hb", 0);
        p.spp_pathmaxrxt = path;
        p.spp_flags = p.spp_hbinterval ? SPP_HB_ENABLE : 0;
        set(s, SCTP_PEER_ADDR_PARAMS, &p, sizeof p, "SCTP_PEER_ADDR_PARAMS");
    }
#ifdef USRSCTP
    n = option("sndbuf", 4 << 20);
    if (sctp_set(s, SOL_SOCKET, SO_SNDBUF, &n, sizeof n)) fail("SO_SNDBUF");
    n = option("rcvbuf", 1 << 20);
    if (sctp_set(s, SOL_SOCKET, SO_RCVBUF, &n, sizeof n)) fail("SO_RCVBUF");
#else
    /* A message must fit the send buffer, whose limit is below 1 MiB for all but root. */
    n = option("sndbuf", 4 << 20);
    if (sctp_set(s, SOL_SOCKET, SO_SNDBUFFORCE, &n, sizeof n)) fail("SO_SNDBUFFORCE");
    n = option("rcvbuf", 1 << 20);
    if (sctp_set(s, SOL_SOCKET, SO_RCVBUFFORCE, &n, sizeof n)) fail("SO_RCVBUFFORCE");
#endif
    apply_extensions(s);
}

static void paths(sock s)
{
    struct sockaddr *all;
    int n = sctp_getpaddrs(s, 0, &all);
    if (n < 0) fail("sctp_getpaddrs");
    for (char *p = (char *)all; n > 0; n--) {
        struct sockaddr *a = (void *)p;
        size_t z = a->sa_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
        struct sctp_paddrinfo i; socklen_t l = sizeof i;
        memset(&i, 0, sizeof i);
        memcpy(&i.spinfo_address, a, z);
        if (sctp_get(s, IPPROTO_SCTP, SCTP_GET_PEER_ADDR_INFO, &i, &l)) say("path %s %s", text(a), strerror(errno));
        else say("path %s %s srtt=%u rto=%u mtu=%u", text(a), path_state(i.spinfo_state), i.spinfo_srtt, i.spinfo_rto, i.spinfo_mtu);
        p += z;
    }
    if (all) sctp_freepaddrs(all);
    say("paths end");
}

static void on_path(sock s, const char *addr, int port, int heartbeat)
{
    struct sctp_paddrparams p; struct sctp_setprim prim;
    memset(&p, 0, sizeof p);
    memset(&prim, 0, sizeof prim);
    if (heartbeat) {
        parse(addr, port, &p.spp_address);
        p.spp_flags = SPP_HB_DEMAND;
        set(s, SCTP_PEER_ADDR_PARAMS, &p, sizeof p, "heartbeat");
    } else {
        parse(addr, port, &prim.ssp_addr);
        set(s, SCTP_PRIMARY_ADDR, &prim, sizeof prim, "primary");
    }
    say("done");
}

/* ---- the one association ------------------------------------------------ */

/* Each implementation lacks one of RFC 6458's two ways to abort: closing while another thread reads, sending with SCTP_ABORT. */
static void cut_off(sock s, pthread_t reading)
{
#ifdef USRSCTP
    struct sctp_sendv_spa i;
    memset(&i, 0, sizeof i);
    i.sendv_flags = SCTP_SEND_SNDINFO_VALID;
    i.sendv_sndinfo.snd_flags = SCTP_ABORT;
    (void)reading;
    if (put(s, "enough", 6, &i) < 0) fail("abort");
#else
    struct linger l = { 1, 0 };
    if (sctp_set(s, SOL_SOCKET, SO_LINGER, &l, sizeof l)) fail("SO_LINGER");
    pthread_cancel(reading);
    pthread_join(reading, NULL);
    close(s);
#endif
}

static void count_streams(sock s, const char *word)
{
    struct sctp_status st; socklen_t l = sizeof st;
    memset(&st, 0, sizeof st);
    if (sctp_get(s, IPPROTO_SCTP, SCTP_STATUS, &st, &l)) fail("SCTP_STATUS");
    streams = st.sstat_outstrms;
    say("%s in=%u out=%u", word, st.sstat_instrms, st.sstat_outstrms);
}

static void idle(sock s)
{
    struct sctp_status st;
    do {
        socklen_t l = sizeof st;
        usleep(10 * 1000);
        memset(&st, 0, sizeof st);
        if (sctp_get(s, IPPROTO_SCTP, SCTP_STATUS, &st, &l)) fail("SCTP_STATUS");
    } while (st.sstat_unackdata || st.sstat_penddata);
    say("done");
}

static void lead(sock s, int lport, int rport, int accepted)
{
    pthread_t t;
    pthread_create(&t, NULL, reader, &s);
    /* libusrsctp's connect does not wait. */
    pthread_mutex_lock(&lock);
    while (!accepted && !got.up && !got.ended) pthread_cond_wait(&news, &lock);
    errno = got.error;
    if (got.ended) fail("connect");
    pthread_mutex_unlock(&lock);
    count_streams(s, "up");
    char line[4096];
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = 0;
        char *arg = strchr(line, ' ');
        if (arg) *arg++ = 0; else arg = "";
        if (!strcmp(line, "send")) transmit(s, arg);
        else if (!strcmp(line, "await")) await(atoi(arg), MAX_NUMBERS);
        else if (!strcmp(line, "await-one")) await(0, atoi(arg));
        else if (!strcmp(line, "missing")) missing(arg);
        else if (!strcmp(line, "place")) place(atoi(arg));
        else if (!strcmp(line, "streams")) count_streams(s, line);
        else if (!strcmp(line, "heartbeat")) on_path(s, arg, rport, 1);
        else if (!strcmp(line, "primary")) on_path(s, arg, rport, 0);
        else if (!strcmp(line, "paths")) paths(s);
        else if (!strcmp(line, "idle")) idle(s);
        else if (!strcmp(line, "shutdown")) { if (sctp_end(s, SHUT_WR)) fail("shutdown"); say("done"); }
        else if (!strcmp(line, "abort")) {
            cut_off(s, t);
            say("done");
        }
        else if (!strcmp(line, "end")) {
            pthread_mutex_lock(&lock);
            while (!got.ended) pthread_cond_wait(&news, &lock);
            say("ended %s", got.error ? strerror(got.error) : "eof");
            pthread_mutex_unlock(&lock);
        } else if (!extension_line(s, line, arg, lport)) { say("unknown: %s", line); exit(2); }
    }
}

int main(int argc, char **argv)
{
    int c, server = 0, lport = 0, rport = 0;
    const char *words[2][16]; int n[2] = { 0, 0 };
    static struct list at[2];
    while ((c = getopt(argc, argv, "sl:p:r:P:o:")) != -1) switch (c) {
        case 's': server = 1; break;
        case 'l': case 'r': if (n[c == 'r'] < 16) words[c == 'r'][n[c == 'r']++] = optarg; any_v6 |= !!strchr(optarg, ':'); break;
        case 'p': lport = atoi(optarg); break;
        case 'P': rport = atoi(optarg); break;
        case 'o': if (nopts < 32) opts[nopts++] = optarg; break;
        default: return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    any_v6 |= option("v6", 0);
    for (int w = 0; w < 2; w++)
        for (int i = 0; i < n[w]; i++, at[w].n++) at[w].len += parse(words[w][i], w ? rport : lport, at[w].b + at[w].len);
#ifdef USRSCTP
    usrsctp_init(option("udp", 0), NULL, NULL);
    /* Captures of the loopback shall show checksums too. */
    usrsctp_sysctl_set_sctp_no_csum_on_loopback(0);
    /* RFC 7829 is switched off there: a path that fails would be left only after Path.Max.Retrans errors. */
    usrsctp_sysctl_set_sctp_path_pf_threshold(0);
#endif
    sock s = sctp_open(any_v6 ? AF_INET6 : AF_INET);
    if (s == BAD) fail("socket");
    apply(s);
    if (at[0].n && sctp_bindx(s, (void *)at[0].b, at[0].n, SCTP_BINDX_ADD_ADDR)) fail("bindx");
    if (server) {
        if (sctp_listen(s, 1)) fail("listen");
        say("listening");
        sock a = sctp_accept(s, NULL, NULL);
        if (a == BAD) fail("accept");
        lead(a, lport, rport, 1);
    } else {
        char line[64];
        say("ready");
        if (!fgets(line, sizeof line, stdin)) return 1;
        if (sctp_connectx(s, (void *)at[1].b, at[1].n, NULL)) fail("connect");
        lead(s, lport, rport, 0);
    }
    return 0;
}
