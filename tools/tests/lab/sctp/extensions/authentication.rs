//! Chunks that must be authenticated (RFC 4895), and keys that change while data flows.

use std::time::SystemTime;

use sctp_user::socket::option::{AssocSel, AuthActiveKey, AuthDeactivateKey, AuthDeleteKey, AuthKey, SetOpt};
use sctp_user::socket::{AuthIndication, Notification, SctpStream};
use sctp_user::wire::chunk::ChunkTypes;
use sctp_user::{HmacId, KeyId, KeyRing, SharedKey};

use super::super::ours::{stats, stats_until};
use super::super::scenario::{Opener, Plan, Site};
use super::super::talk::{ALL_SIZES, Talk};

/// Chunk types.
const DATA: u8 = 0;
const HEARTBEAT: u8 = 4;

impl Site<'_> {
    fn keyed(&self, hmacs: &[HmacId], theirs: &str) -> Plan {
        let mut plan = self.plan();
        plan.config.auth = true;
        plan.config.auth_chunks = ChunkTypes::default().with(DATA).with(HEARTBEAT);
        plan.config.auth_hmacs = hmacs.to_vec();
        plan.config.auth_keys = KeyRing::only(KeyId(1), b"the-first-key").unwrap();
        let ids: Vec<_> = hmacs.iter().map(|hmac| hmac.number().to_string()).collect();
        let hmac = format!("hmac={}", ids.join(","));
        plan.options = ["auth=1", &format!("chunks={DATA},{HEARTBEAT}"), &hmac, theirs, "active=1"].map(str::to_owned).to_vec();
        plan
    }

    /// DATA and HEARTBEAT are authenticated by `hmacs`; both ends go from one key to the next while data flows, and delete the old one.
    pub(crate) fn authentication(&self, opener: Opener, hmacs: &[HmacId]) {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let mut talk = self.associate_as(opener, self.keyed(hmacs, "key=1:the-first-key"));
        talk.subscribe();
        let chunks = talk.peer.ask("chunks", "chunks ");
        assert!(chunks.split([' ', ',']).any(|kind| kind == "4"), "{chunks}");
        talk.exchange(&ALL_SIZES);

        set(&talk.stream, &AuthKey { id: KeyId(2), key: SharedKey::new(b"the second key") });
        talk.peer.ask("key 2 the second key", "done");
        talk.exchange_while(&ALL_SIZES, &[], &|stream| set(stream, &AuthActiveKey(KeyId(2))));
        talk.exchange(&[(64, &[100])]);
        // Linux tells it only while the key is not its own active one.
        talk.peer.note("key 2 new");
        talk.exchange_while(&ALL_SIZES, &["activate 2"], &|_| ());
        talk.exchange(&[(64, &[100])]);
        talk.key(2, AuthIndication::NewKey);

        set(&talk.stream, &AuthDeactivateKey(KeyId(1)));
        talk.key(1, AuthIndication::FreeKey);
        set(&talk.stream, &AuthDeleteKey(KeyId(1)));
        talk.peer.ask("deactivate 1", "done");
        talk.peer.note("key 1 free");
        talk.peer.ask("delete 1", "done");
        talk.exchange(&ALL_SIZES);
        let s = stats(&talk.stream);
        assert!(s.out_auths > 0 && s.in_auths > 0 && s.bad_auths + s.in_unauthenticated_chunks == 0, "{s:#?}");
        talk.close(opener);
        // Each end takes what the other one prefers.
        let hmacs_used: Vec<_> = self.hmacs(since).into_keys().collect();
        assert_eq!(hmacs_used, [(false, hmacs[0].number()), (true, hmacs[0].number())]);
    }

    /// With different keys no user data passes, until they are the same.
    pub(crate) fn wrong_key(&self, opener: Opener) {
        let mut talk = self.associate_as(opener, self.keyed(&[HmacId::Sha1], "key=1:quite-another-key"));
        let ours = talk.hand_over((1, &[100]), &|info| info);
        let theirs = talk.let_hand_over((1, &[100]), "");
        stats_until(&talk.stream, "their data is refused", |s| s.bad_auths >= 2 && s.rtx_chunks >= 2);
        assert_eq!(talk.peer.missing(&ours), [0]);
        assert!(talk.order().is_empty());
        set(&talk.stream, &AuthKey { id: KeyId(1), key: SharedKey::new(b"quite-another-key") });
        talk.receive_until(theirs.start);
        talk.peer.ask("await 1", "received count=1 ");
        talk.exchange(&ALL_SIZES);
        talk.close(opener);
    }
}

impl Talk {
    /// Waits until we are told so of key `id`.
    fn key(&mut self, id: u16, wanted: AuthIndication) {
        self.note(|note| match note {
            Notification::Authentication { key, what, .. } if *key == Some(KeyId(id)) && *what == wanted => Some(()),
            _ => None,
        });
    }
}

fn set<O: SetOpt>(stream: &SctpStream, option: &O)
where
    AssocSel: Into<O::Scope>,
{
    stream.set_option(AssocSel::Current, option).unwrap();
}
