//! Every fault at every step, one and two at a time, each run compared with what an oracle of few lines says.

use std::collections::{BTreeMap, VecDeque};

use super::fault::{Fault, Verdict, faults_at};
use super::*;

const TOKENS: [&str; 2] = ["user-token-one", "user-token-two"];
/// Three quarters of 1 s, 2 s, 4 s.
const WAITS: [u32; 3] = [750, 1500, 3000];

#[derive(Debug, PartialEq)]
struct Failed {
    stage: Stage,
    code: Code,
    status: Option<u16>,
    retryable: bool,
    retry_after_ms: Option<u32>,
    attempts: u32,
}

/// Says what has to happen.
#[derive(Default)]
struct Oracle {
    plan: BTreeMap<Step, VecDeque<Fault>>,
    max_retries: u32,
    can_refresh: bool,
    row: bool,
    steps: Vec<Step>,
    retries: Vec<Retrying>,
}

impl Oracle {
    /// Whether the row turns out to be there already.
    fn step(&mut self, step: Step) -> Result<bool, Failed> {
        let stage = match step {
            UP => Stage::Upload,
            IN | BACK => Stage::Insert,
            Step::Sign => Stage::Sign,
            _ => panic!("the oracle knows one image in one request"),
        };
        let (mut spent, mut refreshed, mut attempt) = (0, false, 0);
        loop {
            attempt += 1;
            self.steps.push(step);
            let fault = self.plan.get_mut(&step).and_then(VecDeque::pop_front);
            let duplicate = step == IN && self.row;
            self.row |= step == IN && fault.is_none_or(|fault| fault.arrives());
            let Some(fault) = fault else {
                return Ok(duplicate);
            };
            if duplicate && fault.keeps_status() {
                return Ok(true);
            }
            let (code, status) = (fault.code, fault.status(step));
            let failed = |retryable, retry_after_ms| {
                Err(Failed { stage, code, status, retryable, retry_after_ms, attempts: attempt })
            };
            let (wait_ms, asked_ms) = match fault.verdict {
                Verdict::Final => return failed(false, None),
                Verdict::Later => return failed(true, None),
                Verdict::FreshToken if self.can_refresh && !refreshed => {
                    refreshed = true;
                    continue;
                }
                Verdict::FreshToken => return failed(false, None),
                Verdict::TooLong(ms) => return failed(true, Some(ms)),
                Verdict::After(ms) => (ms, Some(ms)),
                Verdict::Again => (*WAITS.get(spent).unwrap_or(&0), None),
            };
            if spent == self.max_retries as usize {
                return failed(true, asked_ms);
            }
            spent += 1;
            self.retries.push(Retrying { stage, code, status, attempt, wait_ms });
        }
    }

    fn sync(&mut self) -> Result<(), Failed> {
        self.step(UP)?;
        if self.step(IN)? {
            self.step(BACK)?;
        }
        Ok(())
    }
}

/// One run: what breaks, and the circumstances.
#[derive(Clone, Debug)]
struct Scenario {
    plan: Vec<(Step, Fault)>,
    max_retries: u32,
    with_token: bool,
    /// The same call succeeded before, so that the insert is a duplicate.
    again: bool,
}

impl Scenario {
    fn oracle(&self) -> Oracle {
        let mut plan: BTreeMap<_, VecDeque<_>> = BTreeMap::new();
        for (step, fault) in &self.plan {
            plan.entry(*step).or_default().push_back(*fault);
        }
        let (max_retries, can_refresh) = (self.max_retries, self.with_token);
        Oracle { plan, max_retries, can_refresh, row: self.again, ..Oracle::default() }
    }

    fn run(&self) {
        let world = World::new();
        let client = client_with_retries(&world, self.max_retries as i32);
        let signs = self.plan.iter().all(|(step, _)| *step == Step::Sign);
        if self.again || signs {
            sync(&world, &client, request()).unwrap();
            world.sent.take();
        }
        if self.with_token {
            give_tokens(&world, &TOKENS);
        }
        for (step, fault) in &self.plan {
            world.plan(*step, &[*fault]);
        }

        let mut oracle = self.oracle();
        let wanted = if signs { oracle.step(Step::Sign).map(|_| ()) } else { oracle.sync() };
        let (call, events) = call(None);
        let result = if signs {
            world.run(client.signed_url(StoragePath::parse(PATH).unwrap(), &Link::for_seconds(60), &call)).map(|_| None)
        } else {
            world.run(client.sync(request(), &call)).map(Some)
        };

        assert_eq!(world.steps(), oracle.steps, "requests: {self:?}");
        let waits: Vec<u32> = oracle.retries.iter().map(|retry| retry.wait_ms).collect();
        assert_eq!(*world.waits.borrow(), waits, "waits: {self:?}");
        let told: Vec<Retrying> = events
            .borrow()
            .iter()
            .filter_map(|event| match event {
                Event::Retry(retry) => Some(*retry),
                Event::Progress(_) => None,
            })
            .collect();
        assert_eq!(told, oracle.retries, "onRetry: {self:?}");
        match (result, wanted) {
            (Ok(None), Ok(())) => {}
            (Ok(Some(result)), Ok(())) => {
                assert_eq!(result, synced());
                assert_delivered(&world, IMAGE_ID, PATH, PNG, self);
            }
            (Err(error), Err(wanted)) => self.check_failure(&world, &client, &error, &wanted, oracle.row),
            (result, wanted) => panic!("{self:?}: wanted {wanted:?}, not {result:?}"),
        }
    }

    fn check_failure(&self, world: &World, client: &Client<World>, error: &Error, wanted: &Failed, row: bool) {
        let failed = Failed {
            stage: error.stage,
            code: error.code,
            status: error.status,
            retryable: error.retryable,
            retry_after_ms: error.retry_after_ms,
            attempts: error.attempts,
        };
        assert_eq!(failed, *wanted, "{self:?}");
        let secrets = [KEY, TOKENS[0], TOKENS[1]];
        assert_no_secret(error, &secrets);
        if error.stage == Stage::Sign {
            assert_eq!((error.storage_path.as_deref(), error.image_id.as_deref()), (None, None));
            return;
        }
        let named = (error.storage_path.as_deref(), error.image_id.as_deref());
        assert_eq!(named, (Some(PATH), Some(IMAGE_ID)), "{self:?}");
        assert_eq!(world.rows_of(IMAGE_ID).len(), usize::from(row), "rows of a failed call: {self:?}");
        if error.stage == Stage::Upload {
            return;
        }
        assert!(world.objects.borrow().contains_key(PATH), "no row is sent for before the object: {self:?}");
        // Whatever a call left behind, the same call on a good day brings both, once.
        world.heal();
        assert_eq!(sync(world, client, request()).unwrap(), synced(), "on a good day after {self:?}");
        assert_delivered(world, IMAGE_ID, PATH, PNG, self);
    }
}

const ALL_STEPS: [Step; 4] = [UP, IN, BACK, Step::Sign];

#[test]
fn one_fault_at_any_step_ends_as_it_has_to() {
    let mut runs = 0;
    for step in ALL_STEPS {
        for fault in faults_at(step) {
            for max_retries in 0..=2 {
                for with_token in [false, true] {
                    let plan = vec![(step, fault)];
                    Scenario { plan, max_retries, with_token, again: step == BACK }.run();
                    runs += 1;
                }
            }
        }
    }
    assert!(runs > 1000, "{runs}");
}

#[test]
fn one_fault_again_and_again_ends_as_it_has_to() {
    for step in ALL_STEPS {
        for fault in faults_at(step) {
            for max_retries in 0..=2 {
                for (with_token, again) in [(false, step == BACK), (true, true)] {
                    let plan = vec![(step, fault); max_retries as usize + 2];
                    Scenario { plan, max_retries, with_token, again }.run();
                }
            }
        }
    }
}

#[test]
fn two_faults_at_any_two_steps_end_as_they_have_to() {
    let mut runs = 0;
    for (first, second) in
        [(UP, UP), (UP, IN), (IN, IN), (UP, BACK), (IN, BACK), (BACK, BACK), (Step::Sign, Step::Sign)]
    {
        for one in faults_at(first) {
            for other in faults_at(second) {
                let plan = vec![(first, one), (second, other)];
                Scenario { plan, max_retries: 2, with_token: true, again: second == BACK }.run();
                runs += 1;
            }
        }
    }
    assert!(runs > 10_000, "{runs}");
}

#[test]
fn a_fault_after_a_lost_insert_is_settled_or_told() {
    for lost in faults_at(IN).into_iter().filter(|fault| fault.arrives()) {
        for (step, faults) in [(IN, faults_at(IN)), (BACK, faults_at(BACK))] {
            for fault in faults {
                for max_retries in 0..=2 {
                    let plan = vec![(IN, lost), (step, fault)];
                    Scenario { plan, max_retries, with_token: false, again: false }.run();
                }
            }
        }
    }
}
