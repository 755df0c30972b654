//! What processes say to each other that share an encapsulation port.

use bytes::{Bytes, BytesMut};
use udp_encap::share::message::{MAX_FRAME, Message, next_frame};

/// An arbitrary stream of frames, as a local process of another version or an evil one sends it; and the same bytes as one body.
pub fn share(data: &[u8]) {
    let mut stream = BytesMut::from(data);
    let mut taken = 0;
    while let Ok(Some(body)) = next_frame(&mut stream) {
        assert!((1..=MAX_FRAME).contains(&body.len()));
        taken += 4 + body.len();
        parse(body);
    }
    assert_eq!(stream.len(), data.len() - taken, "what is no frame stays");
    parse(Bytes::copy_from_slice(data));
}

/// The parser takes only what the encoder writes.
fn parse(body: Bytes) {
    let Ok(message) = Message::parse(body.clone()) else { return };
    if body.len() > MAX_FRAME {
        return;
    }
    let mut frame = BytesMut::from(&*message.encode());
    let again = next_frame(&mut frame).ok().flatten().unwrap_or_else(|| panic!("{message:?} makes no frame"));
    assert!(frame.is_empty());
    assert_eq!(again, body, "{message:?}");
    if let Message::Train(train) = &message {
        let whole = [&*Message::train_header(train), &*train.bytes].concat();
        assert_eq!(whole, *message.encode());
    }
}
