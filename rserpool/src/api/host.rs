//! The node that the runtime drives: a pool node that is made once its port is claimed.

use sctp_user::LateNode;

use crate::node::PoolNode;

/// A host that becomes a [`PoolNode`].
pub type Host = LateNode<PoolNode>;
