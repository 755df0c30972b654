/*
 * libusrsctp as a program, two processes over UDP encapsulation (RFC 6951) on loopback: its side of the duels over UDP.
 *
 *   cc -O2 usrsctp_peer.c -o usrsctp_peer -lusrsctp -lpthread
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
#include <usrsctp.h>

static void set_common(struct socket *s, int window, int streams, int mtu, int nodelay)
{
	struct sctp_initmsg im;
	struct sctp_paddrparams pp;
	int on = 1;

	if (usrsctp_setsockopt(s, SOL_SOCKET, SO_SNDBUF, &window, sizeof window) < 0)
		perror("SO_SNDBUF");
	if (usrsctp_setsockopt(s, SOL_SOCKET, SO_RCVBUF, &window, sizeof window) < 0)
		perror("SO_RCVBUF");
	memset(&im, 0, sizeof im);
	im.sinit_num_ostreams = streams;
	im.sinit_max_instreams = streams;
	usrsctp_setsockopt(s, IPPROTO_SCTP, SCTP_INITMSG, &im, sizeof im);
	memset(&pp, 0, sizeof pp);
	pp.spp_flags = SPP_PMTUD_DISABLE;
	pp.spp_pathmtu = mtu;
	if (mtu && usrsctp_setsockopt(s, IPPROTO_SCTP, SCTP_PEER_ADDR_PARAMS, &pp, sizeof pp) < 0)
		perror("SCTP_PEER_ADDR_PARAMS");
	if (nodelay)
		usrsctp_setsockopt(s, IPPROTO_SCTP, SCTP_NODELAY, &on, sizeof on);
	usrsctp_setsockopt(s, IPPROTO_SCTP, SCTP_RECVRCVINFO, &on, sizeof on);
}



static double now_s(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static void usage(double *u, double *s)
{
	struct rusage r;
	getrusage(RUSAGE_SELF, &r);
	*u = r.ru_utime.tv_sec + r.ru_utime.tv_usec / 1e6;
	*s = r.ru_stime.tv_sec + r.ru_stime.tv_usec / 1e6;
}

static long rss(void)
{
	long a, b = 0;
	FILE *f = fopen("/proc/self/statm", "r");
	if (f) {
		if (fscanf(f, "%ld %ld", &a, &b) != 2)
			b = 0;
		fclose(f);
	}
	return b * 4096;
}

static const char *opt(int argc, char **argv, const char *k, const char *d)
{
	for (int i = 1; i + 1 < argc; i++)
		if (!strncmp(argv[i], "--", 2) && !strcmp(argv[i] + 2, k))
			return argv[i + 1];
	return d;
}

/* The same pattern as the Rust side. */
#define PERIOD 4096
#define MAXM (1 << 20)
static uint8_t *pat;
static void mkpat(void)
{
	uint64_t x = 0x9E3779B97F4A7C15ull;
	pat = malloc(MAXM + PERIOD);
	for (int i = 0; i < PERIOD; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		pat[i] = (uint8_t)(x >> 32);
	}
	for (int i = PERIOD; i < MAXM + PERIOD; i++)
		pat[i] = pat[i - PERIOD];
}
static size_t poff(uint32_t seq) { return ((uint64_t)seq * 7919) % PERIOD; }
static void fill(uint8_t *b, uint32_t seq, uint32_t len)
{
	memcpy(b, &seq, 4);
	memcpy(b + 4, &len, 4);
	memcpy(b + 8, pat + poff(seq), len - 8);
}
static int check(const uint8_t *b, uint32_t len, uint32_t *seq)
{
	uint32_t l;
	memcpy(seq, b, 4);
	memcpy(&l, b + 4, 4);
	return l == len && !memcmp(b + 8, pat + poff(*seq), len - 8);
}

static void addr(struct sockaddr_in *a, int port)
{
	memset(a, 0, sizeof *a);
	a->sin_family = AF_INET;
	a->sin_port = htons(port);
	a->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
}

static struct socket *mk(int window, int streams, int mtu, int nodelay, int rport)
{
	struct sctp_udpencaps e;
	struct socket *s = usrsctp_socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP, NULL, NULL, 0, NULL);
	if (!s) {
		perror("socket");
		exit(1);
	}
	set_common(s, window, streams, mtu, nodelay);
	memset(&e, 0, sizeof e);
	e.sue_address.ss_family = AF_INET;
	e.sue_port = htons(rport);
	if (usrsctp_setsockopt(s, IPPROTO_SCTP, SCTP_REMOTE_UDP_ENCAPS_PORT, &e, sizeof e) < 0)
		perror("ENCAPS");
	return s;
}

static int send_msg(struct socket *s, uint16_t sid, int unordered, const void *b, size_t n)
{
	struct sctp_sndinfo si;
	memset(&si, 0, sizeof si);
	si.snd_sid = sid;
	si.snd_ppid = htonl(42);
	si.snd_flags = unordered ? SCTP_UNORDERED : 0;
	return usrsctp_sendv(s, b, n, NULL, 0, &si, sizeof si, SCTP_SENDV_SNDINFO, 0) < 0 ? -1 : 0;
}

/* one whole message; length, 0 at the end, -1 on error */
static long recv_msg(struct socket *s, uint8_t *b, size_t cap, uint16_t *sid)
{
	size_t n = 0;
	for (;;) {
		struct sctp_rcvinfo ri;
		socklen_t fl = 0, il = sizeof ri;
		unsigned int it = 0;
		int flags = 0;
		ssize_t r = usrsctp_recvv(s, b + n, cap - n, NULL, &fl, &ri, &il, &it, &flags);
		if (r <= 0)
			return r;
		n += r;
		if (flags & MSG_EOR) {
			*sid = ri.rcv_sid;
			return n;
		}
	}
}

static int cmp(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}

int main(int argc, char **argv)
{
	int server = !strcmp(opt(argc, argv, "role", "server"), "server");
	const char *w = opt(argc, argv, "workload", "bulk");
	long size = atol(opt(argc, argv, "size", "1024"));
	long count = atol(opt(argc, argv, "count", "1000"));
	int streams = atoi(opt(argc, argv, "streams", "1"));
	int unordered = atoi(opt(argc, argv, "unordered", "0"));
	int window = atoi(opt(argc, argv, "window", "1048576"));
	int lport = atoi(opt(argc, argv, "lport", "9899"));
	int rport = atoi(opt(argc, argv, "rport", "9900"));
	int csum = atoi(opt(argc, argv, "csum", "1"));
	int mtu = atoi(opt(argc, argv, "mtu", "1452"));
	int nodelay = !strcmp(w, "pingpong");
	struct sockaddr_in a;
	uint8_t *buf = malloc(MAXM);
	double u0, s0, u1 = 0, s1 = 0, t0, t1 = 0;
	int os = streams < 2 ? 2 : streams;

	mkpat();
	usrsctp_init(lport, NULL, NULL);
	usrsctp_sysctl_set_sctp_no_csum_on_loopback(!csum);
	usrsctp_sysctl_set_sctp_blackhole(2);
	/* spp_pathmtu counts neither the IP and UDP headers nor the SCTP common header */
	if (mtu)
		mtu -= 12;

	if (server) {
		struct socket *l = mk(window, os, mtu, nodelay, rport);
		addr(&a, 5001);
		if (usrsctp_bind(l, (struct sockaddr *)&a, sizeof a) < 0 || usrsctp_listen(l, 128) < 0) {
			perror("bind");
			return 1;
		}
		printf("READY\n");
		fflush(stdout);
		if (!strcmp(w, "bulk")) {
			struct socket *s = usrsctp_accept(l, NULL, NULL);
			long bytes = 0, msgs = 0, bad = 0, n;
			uint16_t sid;
			uint32_t *last = calloc(65536, 4);
			uint8_t *seen = calloc(1, count + 1);
			n = recv_msg(s, buf, MAXM, &sid); /* start */
			t0 = now_s();
			usage(&u0, &s0);
			for (; n > 0; n = recv_msg(s, buf, MAXM, &sid)) {
				uint32_t q;
				bad += !check(buf, n, &q);
				bad += q >= count || seen[q];
				if (q < count)
					seen[q] = 1;
				if (!unordered) {
					bad += q + 1 <= last[sid];
					last[sid] = q + 1;
				}
				bytes += n;
				if (++msgs == count) {
					t1 = now_s();
					usage(&u1, &s1);
				}
			}
			if (msgs != count) {
				printf("RESULT ok=0 msgs=%ld\n", msgs);
				return 1;
			}
			printf("RESULT ok=%d bytes=%ld msgs=%ld wall=%f user=%f sys=%f\n", !bad, bytes, msgs, t1 - t0, u1 - u0, s1 - s0);
			usrsctp_close(s);
		} else if (!strcmp(w, "pingpong")) {
			struct socket *s = usrsctp_accept(l, NULL, NULL);
			long n;
			uint16_t sid;
			usage(&u0, &s0);
			while ((n = recv_msg(s, buf, MAXM, &sid)) > 0)
				send_msg(s, sid, 0, buf, n);
			usage(&u1, &s1);
			printf("RESULT ok=1 user=%f sys=%f\n", u1 - u0, s1 - s0);
			usrsctp_close(s);
		} else if (!strcmp(w, "assoc")) {
			uint16_t sid;
			usage(&u0, &s0);
			for (long i = 0; i < count; i++) {
				struct socket *s = usrsctp_accept(l, NULL, NULL);
				while (recv_msg(s, buf, MAXM, &sid) > 0)
					;
				usrsctp_close(s);
			}
			usage(&u1, &s1);
			printf("RESULT ok=1 user=%f sys=%f\n", u1 - u0, s1 - s0);
		} else { /* idle */
			struct socket **v = calloc(count, sizeof *v);
			long r0, r1, ok = 1;
			char c;
			r0 = rss();
			for (long i = 0; i < count; i++) {
				v[i] = usrsctp_accept(l, NULL, NULL);
				ok &= v[i] != NULL;
			}
			sleep(1);
			r1 = rss();
			printf("RESULT ok=%ld n=%ld rss_per=%f\n", ok, count, (double)(r1 - r0) / count);
			fflush(stdout);
			if (read(0, &c, 1) < 0)
				return 1;
			_exit(0);
		}
		fflush(stdout);
		usrsctp_close(l);
		for (int i = 0; i < 30 && usrsctp_finish(); i++)
			usleep(100000);
		_exit(0);
	}

	if (!strcmp(w, "bulk") || !strcmp(w, "pingpong")) {
		struct socket *s = mk(window, os, mtu, nodelay, rport);
		addr(&a, 5001);
		if (usrsctp_connect(s, (struct sockaddr *)&a, sizeof a) < 0) {
			perror("connect");
			return 1;
		}
		usage(&u0, &s0);
		t0 = now_s();
		if (w[0] == 'b') {
			uint16_t sid;
			for (long i = 0; i < count; i++) {
				fill(buf, i, size);
				if (send_msg(s, i % streams, unordered, buf, size) < 0) {
					perror("send");
					return 1;
				}
			}
			usrsctp_shutdown(s, SHUT_WR);
			while (recv_msg(s, buf, MAXM, &sid) > 0)
				;
			t1 = now_s();
			usage(&u1, &s1);
			struct sctpstat st;
			memset(&st, 0, sizeof st);
			usrsctp_get_stat(&st);
			printf("RESULT ok=1 bytes=%ld msgs=%ld wall=%f user=%f sys=%f outpkts=%u inpkts=%u rtx=%u fastrtx=%u t3=%u swcrc=%u\n", size * count, count, t1 - t0, u1 - u0, s1 - s0,
			       st.sctps_outpackets, st.sctps_inpackets, st.sctps_sendretransdata, st.sctps_sendfastretrans, st.sctps_timodata, st.sctps_sendswcrc);
		} else {
			double *l = calloc(count, sizeof *l);
			uint32_t q;
			uint16_t sid;
			long bad = 0;
			for (long i = 0; i < count; i++) {
				double b = now_s();
				fill(buf, i, size);
				send_msg(s, 0, 0, buf, size);
				long n = recv_msg(s, buf, MAXM, &sid);
				l[i] = now_s() - b;
				bad += n != size || !check(buf, n, &q) || q != i;
			}
			t1 = now_s();
			usage(&u1, &s1);
			qsort(l, count, sizeof *l, cmp);
			printf("RESULT ok=%d msgs=%ld wall=%f user=%f sys=%f p50=%f p99=%f\n", !bad, count, t1 - t0, u1 - u0, s1 - s0, l[count / 2] * 1e6, l[count * 99 / 100] * 1e6);
			usrsctp_shutdown(s, SHUT_WR);
		}
		fflush(stdout);
		usrsctp_close(s);
		usleep(300000);
		_exit(0);
	}
	if (!strcmp(w, "assoc")) {
		usage(&u0, &s0);
		t0 = now_s();
		for (long i = 0; i < count; i++) {
			struct socket *s = mk(window, os, mtu, nodelay, rport);
			uint16_t sid;
			addr(&a, 5001);
			if (usrsctp_connect(s, (struct sockaddr *)&a, sizeof a) < 0) {
				perror("connect");
				return 1;
			}
			usrsctp_shutdown(s, SHUT_WR);
			while (recv_msg(s, buf, MAXM, &sid) > 0)
				;
			usrsctp_close(s);
		}
		t1 = now_s();
		usage(&u1, &s1);
		printf("RESULT ok=1 msgs=%ld wall=%f user=%f sys=%f\n", count, t1 - t0, u1 - u0, s1 - s0);
		fflush(stdout);
		_exit(0);
	}
	/* idle */
	{
		struct socket **v = calloc(count, sizeof *v);
		long r0 = rss(), r1;
		char c;
		for (long i = 0; i < count; i++) {
			v[i] = mk(window, os, mtu, nodelay, rport);
			addr(&a, 5001);
			if (usrsctp_connect(v[i], (struct sockaddr *)&a, sizeof a) < 0) {
				perror("connect");
				return 1;
			}
		}
		sleep(1);
		r1 = rss();
		printf("RESULT ok=1 n=%ld rss_per=%f\n", count, (double)(r1 - r0) / count);
		fflush(stdout);
		if (read(0, &c, 1) < 0)
			return 1;
		_exit(0);
	}
}
