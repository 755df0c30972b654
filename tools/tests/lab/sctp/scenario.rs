//! What every implementation is put through, over every transport.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use sctp_user::socket::{Handle, SctpListener, SctpStream, SocketNode};
use sctp_user::{AssocConfig, Channel, EndpointConfig, PathState, PeerAddr};

use super::ours::{config, stats, stats_until};
use super::peer::{Peer, arguments};
use super::talk::{ALL_SIZES, Talk};
use crate::common::Background;
use crate::scene::LIMIT;

/// Who opens the association.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Opener {
    We,
    They,
}

/// Where the two ends are, and how they reach each other.
pub(crate) struct Site<'a> {
    pub(crate) handle: &'a Handle<SocketNode>,
    pub(crate) ours: Vec<IpAddr>,
    pub(crate) theirs: Vec<IpAddr>,
    /// How we reach them; `None` leaves it to us to find out.
    pub(crate) channel: Option<Channel>,
    /// Options of the peer.
    pub(crate) options: Vec<String>,
    /// Starts the peer with these arguments.
    pub(crate) start: &'a dyn Fn(&str) -> Background,
    /// What we send and receive is recorded there.
    pub(crate) capture: &'a Path,
    /// Whether the peer is Linux, which numbers the fragments of I-DATA in a way of its own.
    pub(crate) linux: bool,
}

/// How the two ends are set up.
pub(crate) struct Plan {
    pub(crate) config: AssocConfig,
    /// Options of the peer, beside those of the site.
    pub(crate) options: Vec<String>,
    /// Our addresses, and theirs.
    pub(crate) ours: Vec<IpAddr>,
    pub(crate) theirs: Vec<IpAddr>,
}

/// The peer's port; ours is one more.
const PORT: u16 = 5001;

impl Site<'_> {
    /// Everything as usual, at all addresses.
    pub(crate) fn plan(&self) -> Plan {
        Plan { config: config(), options: Vec::new(), ours: self.ours.clone(), theirs: self.theirs.clone() }
    }

    /// As usual, with interleaving.
    pub(crate) fn interleaved(&self) -> Plan {
        let mut plan = self.plan();
        (plan.config.interleaving, plan.config.partial_delivery, plan.config.interleave_streams) = (true, true, true);
        plan.config.linux_fsn = self.linux;
        plan.options.push("intl=1".to_owned());
        plan
    }

    fn associate(&self, opener: Opener) -> Talk {
        self.associate_as(opener, self.plan())
    }

    /// An association; either end is told one address of the other, the rest comes by INIT and INIT ACK.
    pub(crate) fn associate_as(&self, opener: Opener, plan: Plan) -> Talk {
        let mut cfg = EndpointConfig::with(PORT + 1, Arc::new(plan.config));
        cfg.bind = plan.ours;
        let server = opener == Opener::We;
        let options = [&self.options[..], &plan.options].concat();
        let mut peer = Peer((self.start)(&arguments(server, (PORT, PORT + 1), &plan.theirs, cfg.bind[0], &options)));
        let stream = match opener {
            Opener::We => {
                peer.line("listening");
                let to = PeerAddr { addr: SocketAddr::new(plan.theirs[0], PORT), channel: self.channel };
                SctpStream::connect_with(self.handle, &[to], cfg, Some(LIMIT)).unwrap()
            }
            Opener::They => {
                peer.line("ready");
                let listener = SctpListener::bind_with(self.handle, cfg, 1).unwrap();
                listener.set_read_timeout(Some(LIMIT)).unwrap();
                peer.0.say("connect");
                listener.accept().unwrap().0
            }
        };
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.set_write_timeout(Some(LIMIT)).unwrap();
        assert_eq!(peer.line("up "), "up in=64 out=64");
        let status = stream.status().unwrap();
        assert_eq!((status.inbound_streams, status.outbound_streams), (64, 64));
        Talk::new(stream, peer)
    }

    /// An association that we opened and that works.
    pub(crate) fn opened(&self) -> Talk {
        let mut talk = self.associate(Opener::We);
        talk.exchange(&[(64, &[100])]);
        talk
    }

    /// Either end opens; messages of all sizes on all streams, both ways at once; heartbeats; the one that opened closes.
    pub(crate) fn transfers(&self) {
        for opener in [Opener::We, Opener::They] {
            let began = Instant::now();
            let mut talk = self.associate(opener);
            talk.exchange(&ALL_SIZES);
            let exchanged = began.elapsed();
            self.heartbeats(&mut talk);
            talk.close(opener);
            println!("{opener:?} opened: exchanged after {exchanged:.1?}, closed after {:.1?}", began.elapsed());
        }
    }

    /// Either end asks the other one for an answer on the first path.
    fn heartbeats(&self, talk: &mut Talk) {
        let stream = &talk.stream;
        let before = stats(stream);
        let (id, to) = (stream.id(), self.theirs[0]);
        stream.handle().with(|node, now| node.stack_mut().assoc(id).unwrap().request_heartbeat(now, to)).unwrap().unwrap();
        stats_until(stream, "no HEARTBEAT ACK", |now| now.in_heartbeat_acks > before.in_heartbeat_acks);
        talk.peer.ask(&format!("heartbeat {}", self.ours[0]), "done");
        stats_until(stream, "no HEARTBEAT", |now| now.in_heartbeats > before.in_heartbeats);
        let paths = talk.peer.paths();
        assert!(!paths.is_empty() && paths.iter().all(|path| path.contains(" active ")), "{paths:#?}");
    }

    /// Either end aborts, and the other one is told so.
    pub(crate) fn aborts(&self) {
        let mut talk = self.associate(Opener::We);
        talk.exchange(&[(1, &[100])]);
        talk.stream.abort(b"enough").unwrap();
        assert_eq!(talk.peer.ask("end", "ended "), "ended Connection reset by peer");
        // Its port is free again.
        drop(talk);

        let mut talk = self.associate(Opener::They);
        talk.exchange(&[(1, &[100])]);
        talk.peer.ask("abort", "done");
        assert_eq!(talk.stream.recv().unwrap_err().kind(), ErrorKind::ConnectionReset);
    }

    /// Two paths, of which the first is cut in the middle of a transfer: nothing is lost. `cut` does that without a word to
    /// either end, and mends it.
    pub(crate) fn path_cut(&self, opener: Opener, cut: &dyn Fn(bool)) {
        let mut talk = self.associate(opener);
        self.both_active(&talk);
        cut(true);
        let began = Instant::now();
        talk.send(&[(64, &[100])]);
        let ours = began.elapsed();
        cut(false);
        self.both_active(&talk);
        cut(true);
        let began = Instant::now();
        talk.receive(&[(64, &[100])]);
        println!("{opener:?} opened: after the cut, ours arrived in {ours:.1?}, theirs in {:.1?}", began.elapsed());
        cut(false);
        self.both_active(&talk);
        talk.exchange_with(&ALL_SIZES, &|| cut(true));
        talk.exchange_with(&ALL_SIZES, &|| cut(false));
        self.both_active(&talk);
        talk.exchange(&ALL_SIZES);
        talk.close(opener);
    }

    /// Waits until both paths are active, at either end.
    fn both_active(&self, talk: &Talk) {
        let id = talk.stream.id();
        let met = self.handle.wait(Some(LIMIT), |node, _| {
            let paths = node.stack_mut().assoc(id)?.paths();
            (paths.len() == 2 && paths.iter().all(|path| path.state == PathState::Active)).then_some(())
        });
        let paths = || self.handle.with(|node, _| node.stack_mut().assoc(id).map(|assoc| assoc.paths()));
        assert!(met.unwrap().is_some(), "not all active: {:#?}", paths());
    }
}
