//! Rows of one insert, and where those are looked for that the database refuses.

use core::cell::Cell;
use std::rc::Rc;

/// Those whose rows go in by one insert, whatever else is known of each.
pub struct Group<T> {
    /// In their order.
    pub rows: Vec<T>,
    trail: Rc<Trail>,
}

impl<T> Group<T> {
    /// A group that is no part of another.
    pub fn new(rows: Vec<T>) -> Self {
        Self { rows, trail: Rc::default() }
    }

    /// Notes that its rows are settled, and whether they were refused.
    pub fn note(&self, is_refused: bool) {
        let count = self.rows.len();
        self.trail.note(count, if is_refused { count } else { 0 });
    }

    /// Its halves; or its rows, each alone, where it is likely that most of them are refused: to look for those that are not
    /// would take more inserts than there are rows.
    pub fn parts(self) -> Vec<Self> {
        let count = self.rows.len();
        let size = if self.trail.is_mostly_refused() { 1 } else { count.div_ceil(2) };
        let mut rows = self.rows.into_iter();
        let part = || {
            let part: Vec<T> = rows.by_ref().take(size).collect();
            (!part.is_empty()).then(|| Self { rows: part, trail: Trail::below(&self.trail) })
        };
        let mut parts: Vec<Self> = core::iter::from_fn(part).collect();
        // The first is taken from the end.
        parts.reverse();
        parts
    }
}

/// What became of the rows of a group that was refused, and of the groups that it was a part of.
#[derive(Default)]
struct Trail {
    above: Option<Rc<Trail>>,
    settled: Cell<usize>,
    refused: Cell<usize>,
}

/// Fewer settled rows tell little of those beside them.
const TELLING_ROWS: usize = 8;

impl Trail {
    fn below(above: &Rc<Self>) -> Rc<Self> {
        Rc::new(Self { above: Some(above.clone()), ..Self::default() })
    }

    fn note(&self, settled: usize, refused: usize) {
        self.settled.set(self.settled.get() + settled);
        self.refused.set(self.refused.get() + refused);
        if let Some(above) = &self.above {
            above.note(settled, refused);
        }
    }

    /// By the nearest rows: from one refused of three on, halving takes more inserts than rows that go alone.
    fn is_mostly_refused(&self) -> bool {
        if self.settled.get() >= TELLING_ROWS {
            return self.refused.get() * 3 >= self.settled.get();
        }
        self.above.as_ref().is_some_and(|above| above.is_mostly_refused())
    }
}
