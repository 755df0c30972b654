//! Where an option is read or set: a socket, or the association of a one-to-one socket.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use super::AssocSel;
use crate::config::{AssocConfig, EndpointConfig};
use crate::event::{AssocId, EndpointId};
use crate::socket::errno;
use crate::socket::node::{Kind, Settings, SocketNode};
use crate::stack::Assoc;
use crate::time::Time;

/// A node under its lock, and the socket that is meant.
#[derive(Debug)]
pub struct Place<'a> {
    pub(super) node: &'a mut SocketNode,
    pub(super) now: Time,
    pub(super) ep: EndpointId,
    /// The association of a one-to-one socket.
    one: Option<AssocId>,
}

impl<'a> Place<'a> {
    pub(in crate::socket) fn socket(node: &'a mut SocketNode, now: Time, ep: EndpointId) -> Self {
        Self { node, now, ep, one: None }
    }

    pub(in crate::socket) fn stream(node: &'a mut SocketNode, now: Time, id: AssocId) -> io::Result<Self> {
        let ep = node.link(id)?.ep;
        Ok(Self { node, now, ep, one: Some(id) })
    }

    /// Whether it is a one-to-one socket's association.
    pub(super) fn is_stream(&self) -> bool {
        self.one.is_some()
    }

    /// Whether it is a one-to-many socket.
    pub(super) fn is_one_to_many(&self) -> io::Result<bool> {
        Ok(self.one.is_none() && self.node.socket(self.ep)?.kind == Kind::Many)
    }

    /// The association to read from; `None` for what associations to come will have.
    pub(super) fn single(&self, sel: AssocSel) -> io::Result<Option<AssocId>> {
        match (self.one, sel) {
            (Some(id), _) => Ok(Some(id)),
            (None, AssocSel::Assoc(id)) if self.node.link(id)?.ep == self.ep => Ok(Some(id)),
            (None, AssocSel::Assoc(_)) => Err(errno::gone()),
            (None, AssocSel::Future) => Ok(None),
            (None, AssocSel::Current | AssocSel::All) => Err(errno::invalid("several associations")),
        }
    }

    /// The association to read from.
    pub(super) fn existing(&self, sel: AssocSel) -> io::Result<AssocId> {
        self.single(sel)?.ok_or_else(|| errno::invalid("no association is selected"))
    }

    /// The associations to change, and whether those to come are meant too.
    pub(super) fn several(&self, sel: AssocSel) -> io::Result<(bool, Vec<AssocId>)> {
        match (self.one, sel) {
            (None, AssocSel::Current) => Ok((false, self.node.living(self.ep))),
            (None, AssocSel::All) => Ok((true, self.node.living(self.ep))),
            _ => Ok(self.single(sel)?.map_or((true, Vec::new()), |id| (false, vec![id]))),
        }
    }

    pub(super) fn assoc(&mut self, id: AssocId) -> io::Result<Assoc<'_>> {
        self.node.stack.assoc(id).ok_or_else(errno::gone)
    }

    /// The configuration that the selected association has.
    pub(super) fn config(&mut self, sel: AssocSel) -> io::Result<Arc<AssocConfig>> {
        match self.single(sel)? {
            Some(id) => Ok(self.assoc(id)?.config()),
            None => Ok(self.endpoint()?.assoc),
        }
    }

    pub(super) fn endpoint(&self) -> io::Result<EndpointConfig> {
        self.node.stack.endpoint_config(self.ep).ok_or_else(errno::gone)
    }

    /// Changes the configuration of the selected associations.
    pub(super) fn configure(&mut self, sel: AssocSel, change: impl Fn(&mut AssocConfig)) -> io::Result<()> {
        let (future, ids) = self.several(sel)?;
        if future {
            let mut endpoint = self.endpoint()?;
            change(Arc::make_mut(&mut endpoint.assoc));
            self.node.stack.reconfigure_endpoint(self.ep, endpoint).map_err(errno::config_error)?;
        }
        let mut refused = None;
        for id in ids {
            let now = self.now;
            // One that has ended meanwhile has no configuration any more.
            let done = self.assoc(id).map(|mut a| a.reconfigure(now, &change));
            match done {
                Ok(Ok(())) => {}
                Ok(Err(err)) => refused = Some(errno::config_error(err)),
                Err(_) if self.one.is_none() && !matches!(sel, AssocSel::Assoc(_)) => {}
                Err(err) => refused = Some(err),
            }
        }
        self.node.pump(self.now);
        refused.map_or(Ok(()), Err)
    }

    /// What the socket layer itself has for the selected association.
    pub(super) fn settings(&self, sel: AssocSel) -> io::Result<&Settings> {
        match self.single(sel)? {
            Some(id) => Ok(&self.node.link(id)?.settings),
            None => Ok(&self.node.socket(self.ep)?.settings),
        }
    }

    /// Changes it, and answers which associations it was changed for.
    pub(super) fn set(&mut self, sel: AssocSel, change: impl Fn(&mut Settings)) -> io::Result<Vec<AssocId>> {
        let (future, ids) = self.several(sel)?;
        if future {
            change(&mut self.node.socket_mut(self.ep)?.settings);
        }
        for id in &ids {
            change(&mut self.node.link_mut(*id)?.settings);
        }
        Ok(ids)
    }

    /// What is meant where an option belongs to a whole socket: all associations, or the one.
    pub(super) fn whole(&self) -> AssocSel {
        if self.is_stream() { AssocSel::Current } else { AssocSel::All }
    }

    /// Checks that the peer has an address.
    pub(super) fn path(&mut self, id: AssocId, addr: IpAddr) -> io::Result<IpAddr> {
        let addr = addr.to_canonical();
        let there = self.assoc(id)?.peer_addrs().iter().any(|a| a.ip() == addr);
        if there { Ok(addr) } else { Err(errno::path_error(crate::error::PathError::UnknownAddress)) }
    }
}
