/*
 * What peer.c can do with extensions of SCTP. Options, all before the association:
 *   -o auth=0|1 asconf=0|1 reconf=0|1 pr=0|1 intl=0|1   to offer it, or not
 *   -o chunks=TYPE,...  chunks to be authenticated       -o hmac=ID,...  HMAC identifiers, the preferred one first
 *   -o key=ID:TEXT      an endpoint-pair shared key      -o active=ID    the one to begin with
 *   -o reset=MASK       which requests of RFC 6525 are granted: 1 streams, 2 the association, 4 more streams
 *   -o adaptation=N     -o scheduler=fcfs|rr|prio (libusrsctp: also rr-packet, fair)
 *   -o instreams=N      how many streams the other end may have in all (else as many as -o streams)
 * Lines:
 *   supports            "supports auth=N asconf=N reconf=N pr=N intl=N": what both ends have (-1: no such option)
 *   chunks              "chunks TYPE,...": those that the other end wants authenticated
 *   key ID TEXT, activate ID, deactivate ID, delete ID
 *   add ADDR, remove ADDR   for the running association, too
 *   suggest ADDR        asks the other end to send to this address of ours
 *   reset in|out [SID,...], reset-tsn, add-streams IN OUT
 *   schedule NAME, value SID N
 *   streams             "streams in=N out=N", and that many are used from now on
 *   abandoned ttl|rtx|prio  "abandoned unsent=N sent=N"
 */

/* libusrsctp's header lacks it. */
#ifndef SCTP_INTERLEAVING_SUPPORTED
#define SCTP_INTERLEAVING_SUPPORTED 0x00001206
#endif
#ifdef USRSCTP
static const char *const schedulers[] = { "default", "rr", "rr-packet", "prio", "fair", "fcfs", NULL };
#define SCHEDULER SCTP_PLUGGABLE_SS
#define SCHEDULER_VALUE SCTP_SS_VALUE
#define SCTP_PR_SCTP_PRIO SCTP_PR_SCTP_BUF
#define sn_authkey_event sn_auth_event
#else
static const char *const schedulers[] = { "fcfs", "prio", "rr", NULL };
#define SCHEDULER SCTP_STREAM_SCHEDULER
#define SCHEDULER_VALUE SCTP_STREAM_SCHEDULER_VALUE
#endif

/* The numbers of a list "1,2,3" as 16 bits each; how many. */
static int numbers(const char *list, uint16_t *out, int max)
{
    int n = 0;
    for (char *end; list && *list && n < max; list = *end ? end + 1 : end) out[n++] = strtoul(list, &end, 10);
    return n;
}

static void set_value(sock s, int opt, uint32_t value, const char *what)
{
    struct sctp_assoc_value v;
    memset(&v, 0, sizeof v);
    v.assoc_value = value;
    set(s, opt, &v, sizeof v, what);
}

static void set_key(sock s, unsigned id, const char *key)
{
    struct { struct sctp_authkey k; unsigned char bytes[64]; } b;
    memset(&b, 0, sizeof b);
    b.k.sca_keynumber = id;
    b.k.sca_keylength = strlen(key);
    memcpy(b.k.sca_key, key, strlen(key) < sizeof b.bytes ? strlen(key) : sizeof b.bytes);
    set(s, SCTP_AUTH_KEY, &b, sizeof b.k + strlen(key), "SCTP_AUTH_KEY");
}

static void on_key(sock s, int opt, const char *id, const char *what)
{
    struct sctp_authkeyid k;
    memset(&k, 0, sizeof k);
    k.scact_keynumber = atoi(id);
    set(s, opt, &k, sizeof k, what);
}

static void schedule(sock s, const char *name)
{
    int i = 0;
    while (schedulers[i] && strcmp(schedulers[i], name)) i++;
    if (!schedulers[i]) { say("no scheduler %s", name); exit(2); }
    set_value(s, SCHEDULER, i, "scheduler");
}

static const struct { const char *name; int opt; } supported[] = {
    { "auth", SCTP_AUTH_SUPPORTED }, { "asconf", SCTP_ASCONF_SUPPORTED }, { "reconf", SCTP_RECONFIG_SUPPORTED },
    { "pr", SCTP_PR_SUPPORTED }, { "intl", SCTP_INTERLEAVING_SUPPORTED },
};

static void apply_extensions(sock s)
{
    uint16_t list[32];
    if (option("intl", 0)) {
        int two = 2;
        set(s, SCTP_FRAGMENT_INTERLEAVE, &two, sizeof two, "SCTP_FRAGMENT_INTERLEAVE");
    }
    int support = sizeof supported / sizeof *supported;
    /* Switched on in this order and off in the other one, as asconf cannot be without auth. */
    for (int i = 0; i < support; i++) if (option(supported[i].name, 0)) set_value(s, supported[i].opt, 1, supported[i].name);
    for (int i = support - 1; i >= 0; i--) if (!option(supported[i].name, 1)) set_value(s, supported[i].opt, 0, supported[i].name);
    if (option_text("hmac")) {
        struct { struct sctp_hmacalgo h; uint16_t ids[8]; } h;
        memset(&h, 0, sizeof h);
        h.h.shmac_number_of_idents = numbers(option_text("hmac"), h.h.shmac_idents, 8);
        set(s, SCTP_HMAC_IDENT, &h, sizeof h.h + 2 * h.h.shmac_number_of_idents, "SCTP_HMAC_IDENT");
    }
    for (int i = 0, n = numbers(option_text("chunks"), list, 32); i < n; i++) {
        struct sctp_authchunk c = { list[i] };
        set(s, SCTP_AUTH_CHUNK, &c, sizeof c, "SCTP_AUTH_CHUNK");
    }
    if (option_text("key")) set_key(s, option("key", 0), strchr(option_text("key"), ':') + 1);
    if (option_text("active")) on_key(s, SCTP_AUTH_ACTIVE_KEY, option_text("active"), "SCTP_AUTH_ACTIVE_KEY");
    if (option_text("reset")) set_value(s, SCTP_ENABLE_STREAM_RESET, option("reset", 0), "SCTP_ENABLE_STREAM_RESET");
    if (option_text("scheduler")) schedule(s, option_text("scheduler"));
    if (option_text("adaptation")) {
        struct sctp_setadaptation a = { option("adaptation", 0) };
        set(s, SCTP_ADAPTATION_LAYER, &a, sizeof a, "SCTP_ADAPTATION_LAYER");
    }
    const uint16_t types[] = {
        SCTP_ADAPTATION_INDICATION, SCTP_AUTHENTICATION_EVENT, SCTP_STREAM_RESET_EVENT, SCTP_ASSOC_RESET_EVENT,
        SCTP_STREAM_CHANGE_EVENT, SCTP_SEND_FAILED_EVENT,
    };
    for (unsigned i = 0; i < sizeof types / sizeof *types; i++) subscribe(s, types[i]);
}

/* "denied" and "failed" have the same values in all of these notifications. */
static const char *outcome(unsigned flags)
{
    return flags & SCTP_STREAM_RESET_DENIED ? "denied" : flags & SCTP_STREAM_RESET_FAILED ? "failed" : "done";
}

/* Prints a notification that extensions brought; 0: it is another one. */
static int extension_notification(const union sctp_notification *u)
{
    switch (u->sn_header.sn_type) {
    case SCTP_ADAPTATION_INDICATION: say("note adaptation %u", u->sn_adaptation_event.sai_adaptation_ind); break;
    case SCTP_AUTHENTICATION_EVENT: {
        unsigned what = u->sn_authkey_event.auth_indication;
        say("note key %u %s", u->sn_authkey_event.auth_keynumber,
            what == SCTP_AUTH_NEW_KEY ? "new" : what == SCTP_AUTH_FREE_KEY ? "free" : "no-auth");
        break;
    }
    case SCTP_STREAM_RESET_EVENT: {
        const struct sctp_stream_reset_event *e = &u->sn_strreset_event;
        char list[256] = "all";
        size_t n = (e->strreset_length - sizeof *e) / sizeof *e->strreset_stream_list;
        for (size_t i = 0, at = 0; i < n && at < sizeof list - 8; i++)
            at += sprintf(list + at, "%s%u", i ? "," : "", e->strreset_stream_list[i]);
        say("note reset%s%s %s %s", e->strreset_flags & SCTP_STREAM_RESET_INCOMING_SSN ? " incoming" : "",
            e->strreset_flags & SCTP_STREAM_RESET_OUTGOING_SSN ? " outgoing" : "", outcome(e->strreset_flags), list);
        break;
    }
    case SCTP_ASSOC_RESET_EVENT: say("note assoc-reset %s", outcome(u->sn_assocreset_event.assocreset_flags)); break;
    case SCTP_STREAM_CHANGE_EVENT:
        say("note streams in=%u out=%u %s", u->sn_strchange_event.strchange_instrms, u->sn_strchange_event.strchange_outstrms,
            outcome(u->sn_strchange_event.strchange_flags));
        break;
    case SCTP_SEND_FAILED_EVENT: say("note send-failed %u", ntohl(u->sn_send_failed_event.ssfe_info.snd_ppid)); break;
    default: return 0;
    }
    return 1;
}

static void supports(sock s)
{
    char line[128] = "supports"; size_t at = strlen(line);
    for (unsigned i = 0; i < sizeof supported / sizeof *supported; i++) {
        struct sctp_assoc_value v; socklen_t l = sizeof v;
        memset(&v, 0, sizeof v);
        int bad = sctp_get(s, IPPROTO_SCTP, supported[i].opt, &v, &l);
        at += sprintf(line + at, " %s=%d", supported[i].name, bad ? -1 : (int)v.assoc_value);
    }
    say("%s", line);
}

static void their_chunks(sock s)
{
    /* The association, how many there are, and they: libusrsctp fills it in like this, though its header has no number. */
    struct { sctp_assoc_t assoc; uint32_t count; unsigned char chunks[256]; } u;
    socklen_t l = sizeof u;
    char line[1024] = ""; size_t at = 0;
    memset(&u, 0, sizeof u);
    if (sctp_get(s, IPPROTO_SCTP, SCTP_PEER_AUTH_CHUNKS, &u, &l)) fail("SCTP_PEER_AUTH_CHUNKS");
    for (size_t i = 0; i < u.count && i < sizeof u.chunks; i++) at += sprintf(line + at, "%s%u", i ? "," : "", u.chunks[i]);
    say("chunks %s", line);
}

static void change_address(sock s, const char *addr, int port, int add)
{
    unsigned char a[sizeof(struct sockaddr_in6)];
    parse(addr, port, a);
    if (sctp_bindx(s, (void *)a, 1, add ? SCTP_BINDX_ADD_ADDR : SCTP_BINDX_REM_ADDR)) fail(add ? "add" : "remove");
    say("done");
}

static void suggest(sock s, const char *addr, int port)
{
    struct sctp_setpeerprim p;
    memset(&p, 0, sizeof p);
    parse(addr, port, &p.sspp_addr);
    set(s, SCTP_SET_PEER_PRIMARY_ADDR, &p, sizeof p, "SCTP_SET_PEER_PRIMARY_ADDR");
    say("done");
}

/* The kernel refuses a request as long as another one is on its way, or data is on these streams: asked again then. */
static void request(sock s, int opt, const void *v, socklen_t n, const char *what)
{
    for (int i = 0; i < 600 && sctp_set(s, IPPROTO_SCTP, opt, v, n); i++) {
        if (errno != EAGAIN && errno != EINPROGRESS && errno != EBUSY && errno != EALREADY) fail(what);
        usleep(50 * 1000);
    }
    say("done");
}

static void reset(sock s, char *args)
{
    struct { struct sctp_reset_streams r; uint16_t list[64]; } b;
    char *list = strchr(args, ' ');
    memset(&b, 0, sizeof b);
    if (list) *list++ = 0;
    b.r.srs_flags = !strcmp(args, "in") ? SCTP_STREAM_RESET_INCOMING : SCTP_STREAM_RESET_OUTGOING;
    b.r.srs_number_streams = numbers(list, b.r.srs_stream_list, 64);
    request(s, SCTP_RESET_STREAMS, &b, sizeof b.r + 2 * b.r.srs_number_streams, "SCTP_RESET_STREAMS");
}

static void add_streams(sock s, const char *args)
{
    struct sctp_add_streams a;
    memset(&a, 0, sizeof a);
    sscanf(args, "%hu %hu", &a.sas_instrms, &a.sas_outstrms);
    request(s, SCTP_ADD_STREAMS, &a, sizeof a, "SCTP_ADD_STREAMS");
}

static int policy(const char *name)
{
    return !strncmp(name, "ttl", 3) ? SCTP_PR_SCTP_TTL : !strncmp(name, "rtx", 3) ? SCTP_PR_SCTP_RTX
         : !strncmp(name, "prio", 4) ? SCTP_PR_SCTP_PRIO : SCTP_PR_SCTP_NONE;
}

static void abandoned(sock s, const char *which)
{
    struct sctp_prstatus p; socklen_t l = sizeof p;
    memset(&p, 0, sizeof p);
#ifdef USRSCTP
    /* As built by Debian it counts all policies together. */
    (void)which;
    p.sprstat_policy = 0x0f;
#else
    p.sprstat_policy = policy(which);
#endif
    if (sctp_get(s, IPPROTO_SCTP, SCTP_PR_ASSOC_STATUS, &p, &l)) fail("SCTP_PR_ASSOC_STATUS");
    say("abandoned unsent=%" PRIu64 " sent=%" PRIu64, (uint64_t)p.sprstat_abandoned_unsent, (uint64_t)p.sprstat_abandoned_sent);
}

/* Whether the line was one of those above. */
static int extension_line(sock s, const char *line, char *arg, int lport)
{
    if (!strcmp(line, "supports")) supports(s);
    else if (!strcmp(line, "chunks")) their_chunks(s);
    else if (!strcmp(line, "key")) { char *key = strchr(arg, ' '); set_key(s, atoi(arg), key ? key + 1 : ""); say("done"); }
    else if (!strcmp(line, "activate")) { on_key(s, SCTP_AUTH_ACTIVE_KEY, arg, line); say("done"); }
    else if (!strcmp(line, "deactivate")) { on_key(s, SCTP_AUTH_DEACTIVATE_KEY, arg, line); say("done"); }
    else if (!strcmp(line, "delete")) { on_key(s, SCTP_AUTH_DELETE_KEY, arg, line); say("done"); }
    else if (!strcmp(line, "add")) change_address(s, arg, lport, 1);
    else if (!strcmp(line, "remove")) change_address(s, arg, lport, 0);
    else if (!strcmp(line, "suggest")) suggest(s, arg, lport);
    else if (!strcmp(line, "reset")) reset(s, arg);
    else if (!strcmp(line, "reset-tsn")) { sctp_assoc_t all = 0; request(s, SCTP_RESET_ASSOC, &all, sizeof all, line); }
    else if (!strcmp(line, "add-streams")) add_streams(s, arg);
    else if (!strcmp(line, "schedule")) { schedule(s, arg); say("done"); }
    else if (!strcmp(line, "value")) {
        struct sctp_stream_value v;
        memset(&v, 0, sizeof v);
        sscanf(arg, "%hu %hu", &v.stream_id, &v.stream_value);
        set(s, SCHEDULER_VALUE, &v, sizeof v, line);
        say("done");
    }
    else if (!strcmp(line, "abandoned")) abandoned(s, arg);
    else return 0;
    return 1;
}
