//! Partial reliability through sockets (RFC 6458 sections 5.3.7 and 8.1.32, RFC 7496 section 4).

use std::time::Duration;

use sctp_user::socket::option::{AssocSel, DefaultPrInfo, EventOption, PrAssocStatus, PrStreamStatus, PrSupported};
use sctp_user::socket::{EventKind, Notification, Received, SctpSocket, SndInfo};
use sctp_user::{Abandoned, PrPolicy, Reliability, StreamId};

use crate::common::{V4, host};
use crate::pair;

#[test]
fn what_is_given_up_is_told_and_counted() {
    let (here, there) = pair(V4);
    for end in [&here, &there] {
        assert_eq!(end.option::<PrSupported>(()).unwrap(), PrSupported(true));
    }
    assert_eq!(here.option::<DefaultPrInfo>(()).unwrap(), DefaultPrInfo(Reliability::Full));
    here.set_option((), &EventOption { kind: EventKind::SendFailed, on: true }).unwrap();
    // Nothing lives so short that it could leave.
    here.set_option((), &DefaultPrInfo(Reliability::Lifetime(Duration::ZERO))).unwrap();
    here.send(b"never", &SndInfo::stream(3).context(7)).unwrap();
    let Some(Received::Notification(Notification::SendFailed { message, info, sent, .. })) = here.recv_any().unwrap() else { panic!() };
    assert_eq!((&message.payload[..], info.context, sent), (b"never".as_slice(), 7, false));
    here.send(b"ever", &SndInfo::stream(3).reliability(Reliability::Full)).unwrap();
    assert_eq!(there.recv().unwrap().unwrap().1, b"ever".as_slice());

    let (none, one) = (Abandoned::default(), Abandoned { unsent: 1, sent: 0 });
    assert_eq!(here.option::<PrStreamStatus>(StreamId(3)).unwrap(), PrStreamStatus(one));
    assert_eq!(here.option::<PrStreamStatus>(StreamId(4)).unwrap(), PrStreamStatus(none));
    assert_eq!(here.option::<PrAssocStatus>(()).unwrap(), PrAssocStatus(one));
    assert_eq!(here.option::<PrAssocStatus>(PrPolicy::Lifetime).unwrap(), PrAssocStatus(one));
    assert_eq!(here.option::<PrAssocStatus>(PrPolicy::Priority).unwrap(), PrAssocStatus(none));
    assert_eq!(there.option::<PrAssocStatus>(()).unwrap(), PrAssocStatus(none));
}

#[test]
fn it_is_agreed_on_when_an_association_is_opened() {
    let (here, _there) = pair(V4);
    assert!(here.set_option((), &PrSupported(false)).is_err(), "too late");
    let socket = SctpSocket::bind(&host(), 0).unwrap();
    assert_eq!(socket.option::<PrSupported>(AssocSel::Future).unwrap(), PrSupported(true));
    socket.set_option(AssocSel::Future, &PrSupported(false)).unwrap();
    assert_eq!(socket.option::<PrSupported>(AssocSel::Future).unwrap(), PrSupported(false));
    assert!(socket.option::<PrAssocStatus>(()).is_err(), "of no association");
}
