/*
 * usrsctp for the in-memory harness: AF_CONN addresses, no threads, a virtual clock.
 * src/peers/usrsctp.rs is the other side.
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



/* The library asks gettimeofday for the time; the harness sets it. */
static uint64_t virtual_us = 1000000000000ull;
static int virtual_on;

int __real_gettimeofday(struct timeval *, void *);
int __wrap_gettimeofday(struct timeval *tv, void *tz)
{
	if (!virtual_on)
		return __real_gettimeofday(tv, tz);
	tv->tv_sec = virtual_us / 1000000;
	tv->tv_usec = virtual_us % 1000000;
	return 0;
}

typedef void (*out_fn)(void *end, const void *buf, size_t len);
static out_fn out_cb;

static int conn_output(void *addr, void *buf, size_t len, uint8_t tos, uint8_t df)
{
	(void)tos;
	(void)df;
	out_cb(addr, buf, len);
	return 0;
}

void shim_init(out_fn f, int window)
{
	static int done;
	if (done)
		return;
	done = 1;
	out_cb = f;
	virtual_on = 1;
	usrsctp_init_nothreads(0, conn_output, NULL);
	usrsctp_sysctl_set_sctp_blackhole(2);
	usrsctp_sysctl_set_sctp_ecn_enable(0);
	(void)window;
}

void shim_time(uint64_t us, uint32_t tick_ms)
{
	virtual_us = 1000000000000ull + us;
	if (tick_ms)
		usrsctp_handle_timers(tick_ms);
}

static void sconn(struct sockaddr_conn *a, void *id, uint16_t port)
{
	memset(a, 0, sizeof *a);
	a->sconn_family = AF_CONN;
	a->sconn_port = htons(port);
	a->sconn_addr = id;
}

struct socket *shim_open(void *id, int server, int window, int streams, int mtu, int nodelay)
{
	struct sockaddr_conn a;
	struct socket *s;
	struct linger l = {1, 0};

	usrsctp_register_address(id);
	s = usrsctp_socket(AF_CONN, SOCK_STREAM, IPPROTO_SCTP, NULL, NULL, 0, NULL);
	if (!s)
		abort();
	usrsctp_set_non_blocking(s, 1);
	/* spp_pathmtu does not count the SCTP common header */
	set_common(s, window, streams, mtu - 12, nodelay);
	usrsctp_setsockopt(s, SOL_SOCKET, SO_LINGER, &l, sizeof l);
	sconn(&a, id, server ? 5001 : 5002);
	if (usrsctp_bind(s, (struct sockaddr *)&a, sizeof a) < 0)
		abort();
	if (server && usrsctp_listen(s, 1) < 0)
		abort();
	return s;
}

int shim_connect(struct socket *s, void *id)
{
	struct sockaddr_conn a;
	sconn(&a, id, 5001);
	if (usrsctp_connect(s, (struct sockaddr *)&a, sizeof a) < 0 && errno != EINPROGRESS)
		return -1;
	return 0;
}

struct socket *shim_accept(struct socket *s)
{
	struct socket *n = usrsctp_accept(s, NULL, NULL);
	if (n)
		usrsctp_set_non_blocking(n, 1);
	return n;
}

/* the association's state as sctp_status has it, or -1 */
int shim_state(struct socket *s)
{
	struct sctp_status st;
	socklen_t n = sizeof st;
	memset(&st, 0, sizeof st);
	if (usrsctp_getsockopt(s, IPPROTO_SCTP, SCTP_STATUS, &st, &n) < 0)
		return -1;
	return st.sstat_state;
}

/* 1 sent, 0 would block, -1 error */
int shim_send(struct socket *s, uint16_t stream, uint32_t ppid, int unordered, const void *b, size_t n)
{
	struct sctp_sndinfo si;
	memset(&si, 0, sizeof si);
	si.snd_sid = stream;
	si.snd_ppid = htonl(ppid);
	si.snd_flags = unordered ? SCTP_UNORDERED : 0;
	if (usrsctp_sendv(s, b, n, NULL, 0, &si, sizeof si, SCTP_SENDV_SNDINFO, 0) < 0)
		return errno == EWOULDBLOCK || errno == EAGAIN ? 0 : -1;
	return 1;
}

/* >0 bytes, 0 end, -1 nothing, -2 error */
long shim_recv(struct socket *s, void *b, size_t n, uint16_t *stream, uint32_t *ppid, int *eor)
{
	struct sctp_rcvinfo ri;
	socklen_t fl = 0, il = sizeof ri;
	unsigned int it = 0;
	int flags = 0;
	ssize_t r;

	memset(&ri, 0, sizeof ri);
	r = usrsctp_recvv(s, b, n, NULL, &fl, &ri, &il, &it, &flags);
	if (r < 0)
		return errno == EWOULDBLOCK || errno == EAGAIN ? -1 : -2;
	*stream = ri.rcv_sid;
	*ppid = ntohl(ri.rcv_ppid);
	*eor = !!(flags & MSG_EOR);
	return r;
}

/* chunks sent again, T3-rtx expiries, and the congestion window of the primary path */
void shim_counters(struct socket *s, uint64_t *out)
{
	struct sctpstat st;
	struct sctp_status as;
	socklen_t n = sizeof as;

	memset(&st, 0, sizeof st);
	memset(&as, 0, sizeof as);
	usrsctp_get_stat(&st);
	out[0] = st.sctps_sendretransdata;
	out[1] = st.sctps_timodata;
	out[2] = usrsctp_getsockopt(s, IPPROTO_SCTP, SCTP_STATUS, &as, &n) < 0 ? 0 : as.sstat_primary.spinfo_cwnd;
}

void shim_input(void *id, const void *b, size_t n) { usrsctp_conninput(id, b, n, 0); }
void shim_shutdown(struct socket *s) { usrsctp_shutdown(s, SHUT_WR); }
void shim_close(struct socket *s, void *id)
{
	usrsctp_close(s);
	if (id)
		usrsctp_deregister_address(id);
}

