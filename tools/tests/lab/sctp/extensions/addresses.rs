//! Addresses that come and go while data flows (RFC 5061), authenticated (RFC 4895).

use std::net::IpAddr;

use sctp_user::socket::{Notification, SctpStream};
use sctp_user::{PathChange, PathState};

use super::super::ours::{stats, until};
use super::super::scenario::{Opener, Site};
use super::super::talk::{ALL_SIZES, Talk};

/// Adaptation layer indications.
const OURS: u32 = 0x5eed_0001;
const THEIRS: u32 = 77;

impl Site<'_> {
    /// Both begin with one address; each adds its second one, makes the other send to it, and takes its first one away, data flowing
    /// all the time. Then nothing goes by the first network any more, which `cut` proves. At last we come back to it.
    pub(crate) fn addresses(&self, opener: Opener, cut: &dyn Fn(bool)) {
        let (&[a1, a2], &[b1, b2]) = (&self.ours[..], &self.theirs[..]) else { panic!("two addresses each") };
        let mut plan = self.plan();
        (plan.ours, plan.theirs) = (vec![a1], vec![b1]);
        (plan.config.auth, plan.config.add_ip, plan.config.adaptation) = (true, true, Some(OURS));
        plan.options = ["auth=1", "asconf=1", &format!("adaptation={THEIRS}")].map(str::to_owned).to_vec();
        plan.options.extend(b2.is_ipv6().then(|| "v6=1".to_owned()));
        let mut talk = self.associate_as(opener, plan);
        talk.subscribe();
        until(&talk.stream, "the adaptation indication", |assoc| (assoc.adaptation() == Some(THEIRS)).then_some(()));
        talk.peer.note(&format!("adaptation {OURS}"));
        assert!(talk.peer.ask("supports", "supports ").starts_with("supports auth=1 asconf=1"));
        assert_eq!(talk.peer.ask("chunks", "chunks ").matches("193").count(), 1, "ASCONF is to be authenticated");

        // They first: libusrsctp cannot choose the source address of a packet, so that it speaks to our second one from its own.
        talk.exchange_while(&ALL_SIZES, &[&format!("add {b2}")], &|_| ());
        talk.changed(b2, PathChange::Added);
        talk.exchange_while(&ALL_SIZES, &[], &|stream| use_addresses(stream, &[a1, a2]));
        talk.peer.note(&format!("path {a2} added"));
        talk.their_paths(&[a1, a2]);
        talk.our_paths(&[b1, b2]);

        let id = talk.stream.id();
        self.handle.with(|node, now| node.stack_mut().assoc(id).unwrap().set_peer_primary(now, a2)).unwrap().unwrap();
        talk.peer.note(&format!("path {a2} made-primary"));
        talk.peer.ask(&format!("suggest {b2}"), "done");
        until(&talk.stream, "the primary path", |assoc| assoc.paths().iter().any(|path| path.addr == b2 && path.primary).then_some(()));
        talk.exchange(&ALL_SIZES);

        talk.exchange_while(&ALL_SIZES, &[], &|stream| use_addresses(stream, &[a2]));
        talk.peer.note(&format!("path {a1} removed"));
        talk.their_paths(&[a2]);
        talk.exchange_while(&ALL_SIZES, &[&format!("remove {b1}")], &|_| ());
        talk.changed(b1, PathChange::Removed);
        talk.our_paths(&[b2]);
        cut(true);
        talk.exchange(&ALL_SIZES);
        cut(false);

        use_addresses(&talk.stream, &[a1, a2]);
        talk.peer.note(&format!("path {a1} added"));
        talk.exchange(&ALL_SIZES);
        let s = stats(&talk.stream);
        assert!(s.out_asconfs >= 4 && s.in_asconf_acks >= 4 && s.in_asconfs >= 3 && s.out_asconf_acks >= 3, "{s:#?}");
        assert!(s.out_auths >= 7 && s.in_auths >= 7 && s.bad_auths + s.in_unauthenticated_chunks == 0, "{s:#?}");
        talk.close(opener);
    }
}

impl Talk {
    /// Waits until the peer has these paths to us, and all of them are active.
    fn their_paths(&mut self, addrs: &[IpAddr]) {
        super::poll("their paths", || {
            let paths = self.peer.paths();
            let all = addrs.iter().all(|addr| paths.iter().any(|path| path.starts_with(&format!("path {addr} active"))));
            (all && paths.len() == addrs.len()).then_some(()).ok_or(paths)
        });
    }

    /// Waits until we have these paths, and all of them are active.
    fn our_paths(&self, addrs: &[IpAddr]) {
        until(&self.stream, "our paths", |assoc| {
            let paths = assoc.paths();
            let all = addrs.iter().all(|addr| paths.iter().any(|path| path.addr == *addr && path.state == PathState::Active));
            (all && paths.len() == addrs.len()).then_some(())
        });
    }

    /// Waits until we are told of that.
    fn changed(&mut self, what: IpAddr, how: PathChange) {
        self.note(|note| match note {
            Notification::PathState { addr, change, .. } if *addr == what && *change == how => Some(()),
            _ => None,
        });
    }
}

/// From now on these are our addresses.
fn use_addresses(stream: &SctpStream, addrs: &[IpAddr]) {
    let id = stream.id();
    let changed = stream.handle().with(|node, now| {
        let ep = node.stack_mut().assoc(id).unwrap().endpoint();
        node.stack_mut().bind(now, ep, addrs.to_vec())
    });
    changed.unwrap().unwrap();
}
