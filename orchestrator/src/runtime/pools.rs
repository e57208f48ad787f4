//! Looking at the pools of a runtime, and what operators do with them.

use std::sync::Arc;

use super::{Runtime, Settings};
use crate::config::PoolConfig;
use crate::error::{Error, UnknownPool};
use crate::placement::PoolId;
use crate::worker::supervisor::PoolPicture;

impl Runtime {
    /// A snapshot of the pools. They are started for that, but no worker is.
    ///
    /// # Errors
    /// When they cannot be started.
    pub fn pools(&self) -> Result<Vec<PoolPicture>, Error> {
        let mut pools = self.pool()?.pools();
        pools.retain(|pool| !pool.is_gone());
        Ok(pools)
    }

    /// Replaces the workers of a pool: idle ones now, others when their sessions end.
    ///
    /// # Errors
    /// When there is no such pool.
    pub fn recycle(&self, pool: &str) -> Result<(), Error> {
        self.pool()?.recycle(number_of(&self.settings(), pool)?);
        Ok(())
    }

    /// Lets a pool refuse new sessions; those that are open go on.
    ///
    /// # Errors
    /// When there is no such pool.
    pub fn drain(&self, pool: &str) -> Result<(), Error> {
        self.pool()?.drain(number_of(&self.settings(), pool)?, true);
        Ok(())
    }

    /// Lets a drained pool take sessions again.
    ///
    /// # Errors
    /// When there is no such pool.
    pub fn resume(&self, pool: &str) -> Result<(), Error> {
        self.pool()?.drain(number_of(&self.settings(), pool)?, false);
        Ok(())
    }
}

fn number_of(settings: &Settings, name: &str) -> Result<PoolId, Error> {
    let is_it = |pool: &Arc<PoolConfig>| pool.name == name && !pool.is_removed;
    settings.pools.iter().position(is_it).ok_or_else(|| {
        let known = settings.pools.iter().filter(|pool| !pool.is_removed);
        let known = known.map(|pool| pool.name.clone()).collect();
        Error::UnknownPool(UnknownPool { name: name.to_owned(), known })
    })
}
