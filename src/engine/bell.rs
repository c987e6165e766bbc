//! Tells ready lists whether there is something to take from a place that is no console.

use std::sync::{Arc, OnceLock};

use nix::sys::eventfd::EventFd;

use super::ready::{Events, SourceKey};
use super::watch::{FdList, fd_list};
use crate::error::{Error, Result};
use crate::sync::Mutex;

/// Who is told that something is there.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    lists: Mutex<Vec<(Arc<FdList>, SourceKey)>>,
    fd: OnceLock<Arc<EventFd>>,
}

impl Bell {
    /// Tells everybody how things stand: whether there `is` something. To be called after every
    /// change; the last word is what is so then.
    pub fn tell(&self, is: impl Fn() -> bool) {
        let lists = self.lists.lock();
        for (list, source) in &*lists {
            match is() {
                true => list.mark(*source, Events::READABLE),
                false => list.unmark(*source, Events::READABLE),
            }
        }
        let told: Vec<_> = lists.iter().map(|(list, _)| list.clone()).collect();
        drop(lists);
        told.iter().for_each(|list| list.settle());
    }

    /// Adds a list, in which it has this key.
    pub fn add(&self, list: &Arc<FdList>, key: u64, is: impl Fn() -> bool) -> Result<()> {
        let mut lists = self.lists.lock();
        lists.retain(|(other, _)| !other.is_closed());
        if lists.iter().any(|(other, _)| Arc::ptr_eq(other, list)) {
            return Err(Error::misuse("it is in this queue already"));
        }
        let source = list.add(key)?;
        lists.push((list.clone(), source));
        drop(lists);
        self.tell(is);
        Ok(())
    }

    /// Takes it out of a list; says whether it was there.
    pub fn remove(&self, list: &Arc<FdList>) -> bool {
        let mut lists = self.lists.lock();
        let at = lists.iter().position(|(other, _)| Arc::ptr_eq(other, list));
        let gone = at.map(|at| lists.swap_remove(at));
        drop(lists);
        if let Some((list, source)) = &gone {
            list.release(*source, Events::READABLE);
            list.settle();
        }
        gone.is_some()
    }

    /// Its own descriptor, readable while there is something; made when it is first asked for.
    pub fn fd(&self, is: impl Fn() -> bool) -> Result<&EventFd> {
        if let Some(fd) = self.fd.get() {
            return Ok(fd);
        }
        let (list, fd) = fd_list()?;
        let mut mine = false;
        let kept = self.fd.get_or_init(|| {
            mine = true;
            fd
        });
        if mine {
            self.add(&list, 0, is)?;
        }
        Ok(kept)
    }
}

impl Drop for Bell {
    fn drop(&mut self) {
        for (list, source) in std::mem::take(&mut *self.lists.lock()) {
            list.release(source, Events::READABLE);
            list.settle();
        }
    }
}
