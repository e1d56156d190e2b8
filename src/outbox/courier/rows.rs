//! Rows of jobs whose bytes are in the bucket, many by one insert.

use std::rc::Rc;

use super::Courier;
use super::round::{Done, Round};
use crate::error::{Code, Error};
use crate::host::{Platform, Store};
use crate::image::meta::Shipment;
use crate::image::path::StoragePath;
use crate::outbox::job::{Job, Which};
use crate::sync::call::{Call, Nobody};
use crate::sync::group::Group;
use crate::sync::many::may_be_one_rows_fault;
use crate::wire::rows;

/// What has become of the jobs of an insert.
#[derive(Default)]
struct Settled {
    confirmed: Vec<Which>,
    refused: Vec<Job>,
}

impl<P: Platform, S: Store<Bytes = P::Bytes>> Courier<P, S> {
    /// Inserts the rows of a group. What the database refuses is found in its parts; those that are confirmed leave together.
    pub(super) async fn insert(&self, mut group: Group<Job>, round: &Round) -> Result<(), Error> {
        self.drop_discarded(&mut group, round).await?;
        let mut settled = Settled::default();
        let mut shipments = Vec::new();
        group.rows.retain_mut(|job| match job.settled() {
            Ok(fixed) => {
                shipments.push(self.client.shipment(fixed, ()));
                true
            }
            Err(error) => {
                self.refuse(job, &error, round);
                settled.refused.push(job.clone());
                false
            }
        });
        if !shipments.is_empty() {
            self.insert_shipments(group, &shipments, &mut settled, round).await;
        }
        let Settled { confirmed, refused } = settled;
        // All at once, so that they leave in one transaction.
        let done = confirmed.into_iter().map(Done::Confirmed).chain(refused.into_iter().map(Done::PutDown));
        round.unwritten.borrow_mut().extend(done);
        Ok(())
    }

    /// A job's row is there, or another's by its id. Where the machine slept meanwhile, its object may be gone.
    async fn settle_row(
        &self,
        mut job: Job,
        is_confirmed: bool,
        shipment: &Shipment<()>,
        settled: &mut Settled,
        round: &Round,
    ) {
        let is_stored = match is_confirmed {
            true => self.is_stored(&job).await,
            false => Err(rows::id_taken(shipment)),
        };
        match is_stored {
            Ok(true) => match self.remove_earlier(&job).await {
                Ok(()) => {
                    settled.confirmed.push(job.which());
                    return;
                }
                // It comes again for that alone: by then its row is known.
                Err(error) => self.refuse(&mut job, &error, round),
            },
            Ok(false) => {
                job.lost_in_bucket();
                round.unread.set(true);
            }
            Err(error) => self.refuse(&mut job, &error, round),
        }
        settled.refused.push(job);
    }

    /// Removes what lies where a job was to go before it was put right, or says what may pass. What is refused for good stays: an
    /// object without a row, as others are that a sweep finds.
    async fn remove_earlier(&self, job: &Job) -> Result<(), Error> {
        for path in job.earlier_paths.iter().filter_map(|path| StoragePath::parse(path).ok()) {
            match self.client.remove_object(path, &Call::for_owner(Rc::new(Nobody))).await {
                Err(error) if error.retryable && !error.turned_away || error.code == Code::Unauthorized => {
                    return Err(error);
                }
                _ => {}
            }
        }
        Ok(())
    }

    async fn drop_discarded(&self, group: &mut Group<Job>, round: &Round) -> Result<(), Error> {
        let jobs: Vec<Which> = group.rows.iter().map(Job::which).collect();
        let mut known = self.store.known(&jobs).await?.into_iter();
        group.rows.retain(|job| {
            let is_known = known.next().unwrap_or_default();
            if !is_known {
                self.let_go(&job.id, round);
            }
            is_known
        });
        Ok(())
    }

    /// The shipments are those of the group's jobs, in their order.
    async fn insert_shipments(
        &self,
        mut group: Group<Job>,
        shipments: &[Shipment<()>],
        settled: &mut Settled,
        round: &Round,
    ) {
        let call = Call::for_owner(Rc::new(Nobody));
        match self.client.insert_group(&shipments.iter().collect::<Vec<_>>(), &call).await {
            Ok(ids) => {
                group.note(false);
                for (job, shipment) in group.rows.into_iter().zip(shipments) {
                    let is_confirmed = ids.has(&job.id);
                    self.settle_row(job, is_confirmed, shipment, settled, round).await;
                }
            }
            Err(error) if group.rows.len() > 1 && may_be_one_rows_fault(&error) => {
                round.groups.borrow_mut().extend(group.parts());
            }
            Err(error) => {
                group.note(true);
                group.rows.iter_mut().for_each(|job| self.refuse(job, &error, round));
                settled.refused.append(&mut group.rows);
            }
        }
    }
}
