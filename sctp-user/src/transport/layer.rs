//! A lower layer that the program hands in: SCTP packets in, SCTP packets out, such as DTLS wants it (RFC 8261).

use core::fmt;
use core::time::Duration;
use std::collections::VecDeque;
use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use mio::event::Event;
use mio::unix::pipe;
use mio::{Interest, Registry, Token};

use super::{Input, Sent, Transport};
use crate::config::PrivateChannel;
use crate::net::{Channel, Meta, Train, Transmit};
use crate::time::Time;

/// Most packets that wait in each direction; further ones are dropped, as a network drops them.
const DEPTH: usize = 1024;
/// Packets handed up before the node's answers are sent.
const BATCH: usize = 64;
/// The shortest `max_packet`: the least MTU that IPv4 hosts deal with.
const LEAST_PACKET: usize = 576;

type Notify = Box<dyn Fn() + Send>;

#[derive(Default)]
struct Queues {
    /// At most [`DEPTH`] packets for the stack.
    inbound: VecDeque<Bytes>,
    /// At most [`DEPTH`] packets for the program.
    outbound: VecDeque<Bytes>,
    dropped: u64,
    /// Wakes the runtime, once there is one.
    wake: Option<pipe::Sender>,
    notify: Option<Notify>,
    /// The runtime that had the layer has ended.
    ended: bool,
}

struct Shared {
    queues: Mutex<Queues>,
    /// Something is in `outbound`.
    filled: Condvar,
    number: u16,
    max_packet: usize,
}

/// The program's end of a lower layer. Clones share it.
///
/// The program gives what its peer sent to [`LowerLayer::deliver`], and sends what [`LowerLayer::take`] or [`LowerLayer::wait`] brings;
/// each packet is a whole SCTP packet. An association over it has one path (RFC 8261 section 6.1), and no address is listed to the peer.
/// Neither call ever waits for the stack. A layer belongs to one runtime; it is given to
/// [`RuntimeBuilder::lower_layer`](crate::socket::RuntimeBuilder::lower_layer).
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use sctp_user::socket::{LowerLayer, Runtime, SctpListener, SctpStream, SndInfo, SocketNode};
///
/// let start = |layer: &LowerLayer| -> std::io::Result<_> {
///     let runtime = Runtime::builder().no_udp().lower_layer(layer.clone()).build()?;
///     let node = SocketNode::new(runtime.stack_config())?;
///     runtime.spawn(node)
/// };
/// let (near, far) = (LowerLayer::new(0, 1200), LowerLayer::new(0, 1200));
/// let (client, server) = (start(&near)?, start(&far)?);
///
/// // The network, such as a DTLS connection; here each layer's packets are simply given to the other one.
/// for (from, to) in [(near.clone(), far.clone()), (far.clone(), near.clone())] {
///     std::thread::spawn(move || {
///         while let Some(packet) = from.wait(None) {
///             to.deliver(packet);
///         }
///     });
/// }
///
/// let listener = SctpListener::bind(&server, 7, 1)?;
/// let stream = SctpStream::connect(&client, near.peer(7))?;
/// stream.send(b"hello", &SndInfo::default())?;
/// let (accepted, _) = listener.accept()?;
/// assert_eq!(accepted.recv()?.ok_or("closed")?.1, b"hello"[..]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct LowerLayer {
    shared: Arc<Shared>,
    error_detection: Option<u32>,
}

impl fmt::Debug for LowerLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LowerLayer")
            .field("number", &self.shared.number)
            .field("max_packet", &self.shared.max_packet)
            .finish_non_exhaustive()
    }
}

impl LowerLayer {
    /// A layer that takes packets of at most `max_packet` bytes, 576 at least. `number` tells the layers of one runtime apart.
    #[must_use]
    pub fn new(number: u16, max_packet: usize) -> Self {
        let shared = Shared { queues: Mutex::default(), filled: Condvar::new(), number, max_packet: max_packet.max(LEAST_PACKET) };
        Self { shared: Arc::new(shared), error_detection: None }
    }

    /// Says that the layer finds errors by a method of its own, by its number (RFC 9653 section 8): 1 is DTLS. Peers that rely on the
    /// same method need no checksums of SCTP then. To be called before a runtime gets the layer.
    ///
    /// The method must find every packet that is not exactly as it was sent, and let none of them through.
    #[must_use]
    pub fn with_error_detection(self, method: u32) -> Self {
        Self { error_detection: Some(method), ..self }
    }

    /// Calls `notify` whenever packets for the program begin to wait, for programs with an event loop of their own. It is called inside
    /// of the stack, so that it must do no more than set a flag or wake a thread.
    pub fn on_filled(&self, notify: impl Fn() + Send + 'static) {
        self.lock().notify = Some(Box::new(notify));
    }

    /// How packets on this layer are marked.
    #[must_use]
    pub fn channel(&self) -> Channel {
        Channel::Lower(self.shared.number.into())
    }

    /// The peer's SCTP port `port`, to be connected to. The address stands for the layer and is seen by nobody else.
    #[must_use]
    pub fn peer(&self, port: u16) -> crate::PeerAddr {
        crate::PeerAddr { addr: (self.address(2), port).into(), channel: Some(self.channel()) }
    }

    /// A packet of the peer. `false` if it was dropped: no runtime has the layer, it is too far behind, or the packet is empty.
    pub fn deliver(&self, packet: impl Into<Bytes>) -> bool {
        let packet = packet.into();
        let mut queues = self.lock();
        let Some(wake) = queues.wake.as_ref().filter(|_| !packet.is_empty() && queues.inbound.len() < DEPTH) else {
            queues.dropped += 1;
            return false;
        };
        if queues.inbound.is_empty()
            && let Err(err) = (&*wake).write(&[1])
            && err.kind() != io::ErrorKind::WouldBlock
        {
            return false;
        }
        queues.inbound.push_back(packet);
        true
    }

    /// The next packet for the peer, if there is one.
    #[must_use]
    pub fn take(&self) -> Option<Bytes> {
        self.lock().outbound.pop_front()
    }

    /// Waits for the next packet for the peer; `None` after `timeout` (`None` for no limit), or when the runtime has ended.
    #[must_use]
    pub fn wait(&self, timeout: Option<Duration>) -> Option<Bytes> {
        let idle = |q: &mut Queues| q.outbound.is_empty() && !q.ended;
        let queues = self.lock();
        let mut queues = match timeout {
            None => self.shared.filled.wait_while(queues, idle).unwrap_or_else(PoisonError::into_inner),
            Some(t) => self.shared.filled.wait_timeout_while(queues, t, idle).unwrap_or_else(PoisonError::into_inner).0,
        };
        queues.outbound.pop_front()
    }

    /// How many packets were dropped, in either direction, because they were not taken in time.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.lock().dropped
    }

    /// The queues are as good as any after a panic elsewhere: no call leaves them half changed.
    fn lock(&self) -> MutexGuard<'_, Queues> {
        self.shared.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An address of the class that is reserved for future use (RFC 1112 section 4), which no network carries.
    fn address(&self, host: u8) -> IpAddr {
        let [high, low] = self.shared.number.to_be_bytes();
        Ipv4Addr::new(240, high, low, host).into()
    }

    /// What the stack must know about the layer.
    pub(crate) fn private_channel(&self) -> PrivateChannel {
        PrivateChannel {
            channel: self.channel(),
            local: vec![self.address(1)],
            remote: vec![self.address(2)],
            max_packet: Some(self.shared.max_packet),
            error_detection: self.error_detection,
        }
    }
}

/// The runtime's end of a layer.
pub(crate) struct LayerTransport {
    layer: LowerLayer,
    wake: pipe::Receiver,
    /// Packets taken out to be handed up without the lock.
    batch: Vec<Bytes>,
}

impl LayerTransport {
    /// Takes a layer for a runtime.
    ///
    /// # Errors
    /// `AlreadyExists` if a runtime has it already; no pipe can be made.
    pub(crate) fn open(layer: LowerLayer) -> io::Result<Self> {
        let (sender, wake) = pipe::new()?;
        {
            let mut queues = layer.lock();
            if queues.wake.is_some() {
                return Err(io::Error::new(io::ErrorKind::AlreadyExists, "the lower layer belongs to another runtime"));
            }
            (queues.wake, queues.ended) = (Some(sender), false);
        }
        Ok(Self { layer, wake, batch: Vec::new() })
    }
}

impl Drop for LayerTransport {
    fn drop(&mut self) {
        let mut queues = self.layer.lock();
        (queues.wake, queues.ended) = (None, true);
        queues.inbound.clear();
        drop(queues);
        self.layer.shared.filled.notify_all();
    }
}

impl Transport for LayerTransport {
    fn carries(&self, channel: Channel) -> bool {
        channel == self.layer.channel()
    }

    fn register(&mut self, registry: &Registry, first: usize) -> io::Result<()> {
        registry.register(&mut self.wake, Token(first), Interest::READABLE)
    }

    fn note_ready(&mut self, _event: &Event) {}

    fn receive(&mut self, _now: Time, sink: &mut dyn FnMut(Input<'_>)) -> bool {
        let mut signs = [0; 16];
        while matches!(self.wake.read(&mut signs), Ok(n) if n > 0) {}
        let more = {
            let mut queues = self.layer.lock();
            let n = queues.inbound.len().min(BATCH);
            self.batch.extend(queues.inbound.drain(..n));
            !queues.inbound.is_empty()
        };
        let meta = Meta { src: self.layer.address(2), dst: self.layer.address(1), channel: self.layer.channel(), ecn: None, ifindex: None };
        for packet in self.batch.drain(..) {
            sink(Input::Packets(&meta, Train::single(packet)));
        }
        more
    }

    fn send(&mut self, t: &Transmit, bytes: &[u8], sent: Sent<'_>) {
        let mut queues = self.layer.lock();
        let idle = queues.outbound.is_empty();
        for packet in bytes.chunks(t.segment_size.unwrap_or(bytes.len()).max(1)) {
            if packet.len() > self.layer.shared.max_packet || queues.outbound.len() >= DEPTH {
                queues.dropped += 1;
            } else {
                queues.outbound.push_back(Bytes::copy_from_slice(packet));
                sent(&Transmit { src: Some(self.layer.address(1)), size: packet.len(), segment_size: None, ..*t }, packet);
            }
        }
        if idle && !queues.outbound.is_empty() {
            if let Some(notify) = &queues.notify {
                notify();
            }
            drop(queues);
            self.layer.shared.filled.notify_all();
        }
    }

    fn flush(&mut self, _sent: Sent<'_>) {}

    /// What a slow program does not take is lost, as in a network: nothing shall wait for it.
    fn is_full(&self) -> bool {
        false
    }

    fn ecn_marks(&self) -> bool {
        false
    }

    fn max_segments(&self) -> usize {
        1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(t: &mut LayerTransport) -> Vec<Bytes> {
        let mut all = Vec::new();
        while t.receive(Time::ZERO, &mut |input| {
            if let Input::Packets(meta, train) = input {
                assert_eq!((meta.src.to_string(), meta.dst.to_string()), ("240.0.3.2".into(), "240.0.3.1".into()));
                all.push(train.bytes);
            }
        }) {}
        all
    }

    fn transmit(size: usize) -> Transmit {
        let dst = "240.0.3.2:0".parse().unwrap();
        let channel = Channel::Lower(3);
        Transmit { src: None, dst, channel, ecn: None, size, segment_size: None, dscp: 0, flow_label: 0, may_fragment: false }
    }

    #[test]
    fn both_queues_have_an_end() {
        let layer = LowerLayer::new(3, 100);
        assert!(!layer.deliver(&b"nobody listens"[..]));
        let mut t = LayerTransport::open(layer.clone()).unwrap();
        assert!(LayerTransport::open(layer.clone()).is_err(), "one runtime only");
        assert!(!layer.deliver(Bytes::new()));
        for n in 0..DEPTH {
            assert!(layer.deliver(n.to_be_bytes().to_vec()));
        }
        assert!(!layer.deliver(&b"too much"[..]));
        assert_eq!(received(&mut t).len(), DEPTH);
        assert_eq!(layer.dropped(), 3);

        let mut sent = 0;
        for _ in 0..=DEPTH {
            t.send(&transmit(4), b"pack", &mut |_, _| sent += 1);
        }
        t.send(&transmit(LEAST_PACKET + 1), &[0; LEAST_PACKET + 1], &mut |_, _| sent += 1);
        assert_eq!((sent, layer.dropped()), (DEPTH, 5));
        assert_eq!(core::iter::from_fn(|| layer.take()).count(), DEPTH);
    }

    #[test]
    fn trains_are_taken_apart_and_waiting_ends_with_the_runtime() {
        let layer = LowerLayer::new(3, 1200);
        let mut t = LayerTransport::open(layer.clone()).unwrap();
        t.send(&Transmit { segment_size: Some(3), ..transmit(7) }, b"aaabbbc", &mut |_, _| {});
        let packets: Vec<_> = core::iter::from_fn(|| layer.wait(Some(Duration::ZERO))).collect();
        assert_eq!(packets, [&b"aaa"[..], b"bbb", b"c"]);
        drop(t);
        assert_eq!(layer.wait(None), None);
    }
}
