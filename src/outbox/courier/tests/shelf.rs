//! Jobs and images in memory, as the browser's store keeps them.

use super::*;

/// Jobs and images in memory. What is killed leaves it as its last whole transaction did.
#[derive(Clone)]
pub(super) struct Shelf(Rc<Shelves>);

pub(super) struct Shelves {
    pub(super) world: World,
    pub(super) jobs: RefCell<Vec<Record>>,
    pub(super) images: RefCell<BTreeMap<String, Image>>,
    /// How many jobs were ever added.
    pub(super) added: Cell<u32>,
    pub(super) calls: Cell<u32>,
    /// Jobs that were read or written since it was set.
    pub(super) touched: Cell<usize>,
    /// The most that were read at once.
    pub(super) most_read: Cell<usize>,
    /// How long each transaction takes.
    pub(super) latency_ms: Cell<u32>,
    /// This one of the calls fails, before or after its commit.
    pub(super) fails_at: Cell<Option<(u32, bool)>>,
    /// Nothing can be written, only deleted.
    pub(super) is_full: Cell<bool>,
    /// Every text that was ever stored.
    pub(super) written: RefCell<String>,
}

/// A job as it is stored; what is looked for is beside its text.
#[derive(Clone)]
pub(super) struct Record {
    pub(super) id: String,
    pub(super) paths: Vec<String>,
    pub(super) size: u64,
    pub(super) position: u64,
    pub(super) revision: u64,
    /// Before when it is not tried, and when that wait began; none of one that does not wait.
    pub(super) waits: Option<(i64, i64)>,
    pub(super) is_suspect: bool,
    pub(super) text: String,
}

impl Record {
    pub(super) fn new(job: &Job, position: u64, revision: u64) -> Self {
        Self {
            id: job.id.clone(),
            paths: job.paths().map(str::to_owned).collect(),
            size: job.size,
            position,
            revision,
            waits: job.is_waiting().then_some((job.not_before_ms, job.wait_set_ms)),
            is_suspect: job.is_waiting() && job.is_suspect,
            text: job.to_text(),
        }
    }

    pub(super) fn stored(&self) -> Stored {
        Stored {
            id: self.id.clone(),
            position: self.position,
            not_before_ms: self.waits.map_or(0, |(not_before_ms, _)| not_before_ms),
            revision: self.revision,
            json: crate::json::tests::parse(&self.text).unwrap_or(Json::Null),
        }
    }
}

impl core::ops::Deref for Shelf {
    type Target = Shelves;

    fn deref(&self) -> &Shelves {
        &self.0
    }
}

pub(super) fn full() -> Error {
    Error::new(Stage::Outbox, Code::QuotaExceeded, "outbox: the browser's storage is full")
}

impl Shelf {
    pub(super) fn new(world: &World) -> Self {
        Self(Rc::new(Shelves {
            world: world.clone(),
            jobs: RefCell::default(),
            images: RefCell::default(),
            added: Cell::new(0),
            calls: Cell::new(0),
            touched: Cell::new(0),
            most_read: Cell::new(0),
            latency_ms: Cell::new(0),
            fails_at: Cell::new(None),
            is_full: Cell::new(false),
            written: RefCell::default(),
        }))
    }

    async fn transact<T>(&self, work: impl FnOnce() -> T) -> Result<T, Error> {
        let nth = self.calls.get();
        self.calls.set(nth + 1);
        let broken = || Error::new(Stage::Outbox, Code::StorageUnavailable, "outbox: the disk is gone");
        self.world.moment().await;
        if self.fails_at.get() == Some((nth, false)) {
            return Err(broken());
        }
        let result = work();
        if self.latency_ms.get() > 0 {
            self.world.pass(self.latency_ms.get()).await;
        }
        self.world.moment().await;
        if self.fails_at.get() == Some((nth, true)) { Err(broken()) } else { Ok(result) }
    }

    pub(super) fn touch(&self, count: usize) {
        self.touched.set(self.touched.get() + count);
    }

    pub(super) fn place(&self, id: &str) -> Option<usize> {
        self.jobs.borrow().iter().position(|known| known.id == id)
    }

    pub(super) fn has(&self, job: &Which) -> bool {
        self.place(&job.id).is_some_and(|place| self.jobs.borrow()[place].position == job.position)
    }

    pub(super) fn job(&self, id: &str) -> Option<Job> {
        let stored = self.jobs.borrow().get(self.place(id)?)?.stored();
        Job::parse(stored.position, &stored.json)
    }

    pub(super) fn discard(&self, id: &str) {
        self.images.borrow_mut().remove(id);
        self.jobs.borrow_mut().retain(|known| known.id != id);
    }

    /// Whether the job is there.
    pub(super) fn put(&self, job: &Job) -> bool {
        self.written.borrow_mut().push_str(&job.to_text());
        let Some(place) = self.place(&job.id) else { return false };
        let known = &mut self.jobs.borrow_mut()[place];
        *known = Record::new(job, known.position, known.revision + 1);
        true
    }

    pub(super) fn is_empty(&self) -> bool {
        self.jobs.borrow().is_empty() && self.images.borrow().is_empty()
    }
}

impl Store for Shelf {
    type Bytes = Image;

    async fn add(&self, job: &Job, image: &Image, limits: &Limits) -> Result<Added, Error> {
        self.transact(|| {
            let mut jobs = self.jobs.borrow_mut();
            if let Some(Record { paths, .. }) = jobs.iter().find(|known| known.id == job.id) {
                return if paths[0] == job.storage_path { Added::Known } else { Added::IdTaken };
            }
            if jobs.iter().any(|known| known.id == Job::removal_id(&job.id)) {
                return Added::IdTaken;
            }
            if jobs.iter().any(|known| known.paths.contains(&job.storage_path)) {
                return Added::PathTaken;
            }
            let bytes = jobs.iter().map(|known| known.size).sum::<u64>() + job.size;
            if jobs.len() >= limits.max_jobs as usize || bytes > limits.max_bytes {
                return Added::Full;
            }
            self.added.set(self.added.get() + 1);
            let position = u64::from(self.added.get());
            jobs.push(Record::new(job, position, 0));
            self.images.borrow_mut().insert(job.id.clone(), image.clone());
            Added::New(position)
        })
        .await
    }

    async fn supersede(&self, removal: &Job, id: &str, revision: Option<u64>) -> Result<Option<Added>, Error> {
        let superseded = self.transact(|| {
            if self.place(id).map(|place| self.jobs.borrow()[place].revision) != revision {
                return None;
            }
            self.discard(id);
            if self.is_full.get() {
                return Some(Added::Full);
            }
            if self.place(&removal.id).is_some() {
                return Some(Added::Known);
            }
            self.written.borrow_mut().push_str(&removal.to_text());
            self.added.set(self.added.get() + 1);
            let position = u64::from(self.added.get());
            self.jobs.borrow_mut().push(Record::new(removal, position, 0));
            Some(Added::New(position))
        });
        match superseded.await? {
            Some(Added::Full) => Err(full()),
            superseded => Ok(superseded),
        }
    }

    async fn waiting(&self, query: Query, most: usize) -> Result<Vec<Stored>, Error> {
        self.transact(|| {
            let jobs = self.jobs.borrow();
            let mut found: Vec<(i64, &Record)> = jobs.iter().filter_map(|job| Some((job.waits?.0, job))).collect();
            found.retain(|(due, job)| match query {
                Query::Due { after, until_ms } => {
                    until_ms.is_none_or(|until_ms| *due <= until_ms)
                        && after.is_none_or(|(from, position)| (*due, job.position) > (from, position))
                }
                Query::WaitSince(since) => job.waits.is_some_and(|(_, set)| set > since),
                Query::Suspects => job.is_suspect,
            });
            found.sort_by_key(|(due, job)| (*due, job.position));
            found.truncate(most);
            self.touch(found.len());
            self.most_read.set(self.most_read.get().max(found.len()));
            found.iter().map(|(_, job)| job.stored()).collect()
        })
        .await
    }

    async fn outlook(&self) -> Result<Outlook, Error> {
        self.transact(|| {
            let due: Vec<i64> = self.jobs.borrow().iter().filter_map(|job| Some(job.waits?.0)).collect();
            Outlook { waiting: due.len() as u32, next_due_ms: due.into_iter().min() }
        })
        .await
    }

    async fn job(&self, id: &str) -> Result<Option<Stored>, Error> {
        self.touch(1);
        self.transact(|| Some(self.jobs.borrow()[self.place(id)?].stored())).await
    }

    async fn known(&self, jobs: &[Which]) -> Result<Vec<bool>, Error> {
        self.transact(|| jobs.iter().map(|job| self.has(job)).collect()).await
    }

    async fn image(&self, job: &Which) -> Result<Option<Image>, Error> {
        self.transact(|| self.images.borrow().get(&job.id).filter(|_| self.has(job)).cloned()).await
    }

    async fn commit(&self, changed: &[&Job], gone: &[Which]) -> Result<Vec<bool>, Error> {
        self.touch(changed.len() + gone.len());
        if self.is_full.get() && !changed.is_empty() {
            return Err(full());
        }
        self.transact(|| {
            let gone = gone.iter().map(|job| {
                let is_others = self.place(&job.id).is_some() && !self.has(job);
                if !is_others {
                    self.discard(&job.id);
                }
                !is_others
            });
            changed.iter().map(|job| self.has(&job.which()) && self.put(job)).chain(gone).collect()
        })
        .await
    }

    async fn amend(&self, job: &Job, revision: u64) -> Result<Amended, Error> {
        self.transact(|| {
            let is_other = |known: &Record| {
                known.id != job.id && known.paths.iter().any(|path| job.paths().any(|own| own == path))
            };
            if self.jobs.borrow().iter().any(is_other) {
                return Amended::PathTaken;
            }
            let is_same = self.place(&job.id).is_some_and(|place| self.jobs.borrow()[place].revision == revision);
            if is_same && self.has(&job.which()) && self.put(job) { Amended::Stored } else { Amended::Outdated }
        })
        .await
    }

    async fn shelve(&self, ids: &[String]) -> Result<(), Error> {
        self.transact(|| {
            for job in self.jobs.borrow_mut().iter_mut().filter(|job| ids.contains(&job.id)) {
                job.waits = None;
            }
        })
        .await
    }
}
