//! Logins that wait for others to end.

use std::sync::Arc;

use slotmap::SlotMap;

use super::super::admission::{Admission, Line};
use super::super::slots::BmcKey;
use super::{Bell, explore, join, spawn};
use crate::sync::now;

/// Logs in to one BMC after another, each login ending at once, as a shard's turns would.
fn log_in(admission: &Admission, shard: usize, bell: &Bell, bmcs: usize) {
    let mut line = Line::new(shard);
    let mut keys: SlotMap<BmcKey, ()> = SlotMap::with_key();
    (0..bmcs).for_each(|_| line.push(keys.insert(())));
    while line.first().is_some() {
        if line.begin(admission, now()) {
            line.end(admission);
        } else {
            bell.sleep();
        }
    }
}

fn shards(shards: usize, at_once: usize, bmcs: usize) {
    explore(move || {
        let bells: Vec<Bell> = (0..shards).map(|_| Bell::new()).collect();
        let wakers = bells.clone();
        let wake = move |shard: usize| super::super::inbox::Wake::wake(&wakers[shard]);
        let admission = Arc::new(Admission::new(0, at_once, shards, now(), Box::new(wake)));
        let run = |(shard, bell): (usize, Bell)| {
            let admission = admission.clone();
            spawn(move || log_in(&admission, shard, &bell, bmcs))
        };
        let threads: Vec<_> = bells.into_iter().enumerate().map(run).collect();
        threads.into_iter().for_each(join);
    });
}

#[test]
fn a_place_that_gets_free_wakes_who_waits_for_it() {
    shards(2, 1, 1);
    shards(2, 1, 2);
    shards(3, 1, 1);
    shards(3, 2, 1);
}
