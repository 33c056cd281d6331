//! [`Policy`]: the rules, and what is done with what they find.

mod redact_text;

#[cfg(feature = "pseudonyms")]
use std::sync::atomic::AtomicBool;
use std::{
    borrow::Cow,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

#[cfg(feature = "pseudonyms")]
use spanwise_core::{Fault, SelfReport};
use spanwise_core::{KeyVerdict, REDACTED, Redact};

use crate::{
    Detector, RuleError,
    addresses::is_network_address,
    builtin_rules::{RULES, Tier},
    key_pattern::Pattern,
    keys::{KeyDecision, Keys, Origin},
    scan,
};
#[cfg(feature = "pseudonyms")]
use crate::{PseudonymKey, normalized_key::NormalizedKey};

/// What must not be logged, and what is shown instead. Cheap to clone; clones share their counters.
///
/// Start with [`secrets`](Self::secrets) or [`secrets_and_pii`](Self::secrets_and_pii); see the
/// [crate docs](crate).
///
/// ```
/// use spanwise_core::{KeyVerdict, Redact};
/// use spanwise_redact::{Action, Detector, Policy};
///
/// let policy = Policy::secrets()
///     .hide("employee_no")?
///     .hide_with("*iban", Action::KeepLast(4))?
///     .show("session")?
///     .detect(Detector::Email, Action::Redact);
///
/// assert_eq!(policy.key("employee_no"), KeyVerdict::Redact);
/// assert_eq!(policy.key("session"), KeyVerdict::Pass);
/// assert_eq!(policy.replace("payer_iban", "DE02120300000000202051"), "***2051");
/// assert_eq!(policy.text("mail to ada@example.org"), "mail to [REDACTED]");
/// assert_eq!(policy.counts()[0], ("email".to_owned(), 1));
/// # Ok::<(), spanwise_redact::RuleError>(())
/// ```
#[derive(Clone)]
pub struct Policy {
    rules: Arc<Rules>,
    #[cfg(feature = "pseudonyms")]
    report: SelfReport,
    #[cfg(feature = "pseudonyms")]
    missing_key_reported: Arc<AtomicBool>,
}

#[derive(Debug, Clone)]
struct Rules {
    keys: Keys,
    /// What each rule about keys does.
    rule_states: Vec<RuleState>,
    /// What each detector does.
    detectors: [RuleState; Detector::ALL.len()],
    /// One bit a detector.
    enabled_detectors: u32,
    /// Only these keys are shown.
    allowed: Option<AllowList>,
    action: Action,
    #[cfg(feature = "pseudonyms")]
    key: Option<PseudonymKey>,
}

/// The keys of [`Policy::allow_only`].
#[derive(Debug, Clone)]
struct AllowList {
    keys: Vec<Pattern>,
    /// Rules that were added to it, which hide what is allowed, each with its number.
    hidden: Vec<(Pattern, usize)>,
}

#[derive(Debug, Clone)]
struct RuleState {
    name: String,
    /// The policy's, if none is given.
    action: Option<Action>,
    count: Arc<AtomicU64>,
}

/// What is shown of what a rule hides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Action {
    /// [`REDACTED`].
    #[default]
    Redact,
    /// Nothing: the field is left out. Inside a text there is no field, and [`REDACTED`] stands
    /// there.
    Remove,
    /// The last characters, so many of them, after `***`; of a value that is not twice as long,
    /// [`REDACTED`].
    KeepLast(usize),
    /// A stand-in made with a key: equal values under one name have equal ones. Without a key
    /// ([`Policy::pseudonym_key`]):
    /// [`REDACTED`], which is told once.
    #[cfg(feature = "pseudonyms")]
    Pseudonym,
}

impl Policy {
    /// Hides keys and texts that are secret whatever a service does: passwords, tokens, keys,
    /// cards.
    #[must_use]
    pub fn secrets() -> Self {
        let mut policy = Self {
            rules: Arc::new(Rules {
                keys: Keys::secrets(),
                rule_states: RULES
                    .named()
                    .iter()
                    .map(|(name, _)| RuleState::new(name))
                    .collect(),
                detectors: Detector::ALL.map(|detector| RuleState::new(detector.name())),
                enabled_detectors: 0,
                allowed: None,
                action: Action::Redact,
                #[cfg(feature = "pseudonyms")]
                key: None,
            }),
            #[cfg(feature = "pseudonyms")]
            report: SelfReport::default(),
            #[cfg(feature = "pseudonyms")]
            missing_key_reported: Arc::default(),
        };
        let secret = Detector::ALL.iter().filter(|detector| !detector.is_pii());
        policy.rules_mut().enabled_detectors =
            secret.fold(0, |bits, detector| bits | scan::detector_bit(*detector));
        policy
    }

    /// [`secrets`](Self::secrets), and what tells of a person: names, addresses of all kinds, phone
    /// numbers, birth dates.
    #[must_use]
    pub fn secrets_and_pii() -> Self {
        Self::secrets().with_pii(None)
    }

    /// Without an action, rules that are there keep theirs.
    pub(crate) fn with_pii(mut self, action: Option<Action>) -> Self {
        let rules = self.rules_mut();
        for rule in pii() {
            rules.keys.switch(rule, true);
            let state = &mut rules.rule_states[rule];
            state.action = action.or(state.action);
        }
        for detector in Detector::ALL.into_iter().filter(|one| one.is_pii()) {
            self = self.enable_detector(detector);
            let state = &mut self.rules_mut().detectors[detector as usize];
            state.action = action.or(state.action);
        }
        self
    }

    /// Without the rules of [`with_pii`](Self::with_pii), but for these.
    pub(crate) fn without_pii(mut self, except: &[Pattern]) -> Self {
        let rules = self.rules_mut();
        for rule in pii() {
            let stays = except
                .iter()
                .any(|pattern| pattern.built_in() == Some(rule));
            rules.keys.switch(rule, stays);
        }
        for detector in Detector::ALL.into_iter().filter(|one| one.is_pii()) {
            if !except.iter().any(|one| one.detector() == Some(detector)) {
                rules.enabled_detectors &= !scan::detector_bit(detector);
            }
        }
        self
    }

    /// [`detect`](Self::detect), with the action that it has.
    pub(crate) fn enable_detector(mut self, detector: Detector) -> Self {
        self.rules_mut().enabled_detectors |= scan::detector_bit(detector);
        self
    }

    /// [`secrets`](Self::secrets), and pseudonyms made with `key` instead of what tells of a
    /// person: one can be followed without being known.
    #[cfg(feature = "pseudonyms")]
    #[must_use]
    pub fn secrets_and_pseudonyms(key: PseudonymKey) -> Self {
        Self::secrets()
            .with_pii(Some(Action::Pseudonym))
            .pseudonym_key(key)
    }

    /// Shows the values of these keys, and of no other: what is not listed is hidden. The texts
    /// shown are read as ever, and so is the message. Of rules that are added to it
    /// [`hide`](Self::hide) hides what is allowed, and [`show`](Self::show) allows more.
    ///
    /// # Errors
    /// If one of them is no key.
    pub fn allow_only<'k>(keys: impl IntoIterator<Item = &'k str>) -> Result<Self, RuleError> {
        let allowed: Result<Vec<Pattern>, RuleError> = keys.into_iter().map(str::parse).collect();
        let mut policy = Self::secrets_and_pii();
        policy.rules_mut().allowed = Some(AllowList {
            keys: allowed?,
            hidden: Vec::new(),
        });
        Ok(policy)
    }

    /// Hides the values of one more key: a name, `*end`, `*part*`, or a path such as
    /// `user.*.token`, `**.ssn`, `items[*].card`.
    ///
    /// Names are compared in lower case, and only their letters and digits; of a name with dots the
    /// last part is a name too. An element of a list is `[*]`, whichever it is. Such a rule beats
    /// what is built in, and hides values of every type.
    ///
    /// The name of a built-in rule, such as `email`, also switches that rule on, which is about
    /// words: `user_email` is hidden, too.
    ///
    /// # Errors
    /// If it is no key.
    pub fn hide(self, key: &str) -> Result<Self, RuleError> {
        Ok(self.hide_pattern(key.parse()?))
    }

    /// [`hide`](Self::hide), with what is shown instead: of the key, and of all keys that a
    /// built-in rule of that name hides.
    ///
    /// # Errors
    /// If it is no key.
    pub fn hide_with(mut self, key: &str, action: Action) -> Result<Self, RuleError> {
        let pattern: Pattern = key.parse()?;
        let built_in = pattern.built_in();
        let rule = self.add(pattern);
        for rule in built_in.into_iter().chain([rule]) {
            self.rules_mut().rule_states[rule].action = Some(action);
        }
        Ok(self)
    }

    /// Does not hide the values of this key because of its name, whatever rule it meets; their text
    /// is read.
    ///
    /// The name of a built-in rule, such as `session`, switches that rule off: `user_session` is
    /// shown, too, and `session_id` is hidden by the rule of that name.
    ///
    /// # Errors
    /// If it is no key.
    pub fn show(self, key: &str) -> Result<Self, RuleError> {
        Ok(self.show_pattern(key.parse()?))
    }

    /// Looks for this kind of secret in every text, and does this with it.
    #[must_use]
    pub fn detect(mut self, detector: Detector, action: Action) -> Self {
        let rules = self.rules_mut();
        rules.enabled_detectors |= scan::detector_bit(detector);
        rules.detectors[detector as usize].action = Some(action);
        self
    }

    /// Does not look for this kind of secret.
    #[must_use]
    pub fn without_detector(mut self, detector: Detector) -> Self {
        self.rules_mut().enabled_detectors &= !scan::detector_bit(detector);
        self
    }

    /// What is shown of what is hidden, but for rules with an action of their own. Default:
    /// [`Action::Redact`].
    #[must_use]
    pub fn action(mut self, action: Action) -> Self {
        self.rules_mut().action = action;
        self
    }

    /// The key that pseudonyms are made with.
    #[cfg(feature = "pseudonyms")]
    #[must_use]
    pub fn pseudonym_key(mut self, key: PseudonymKey) -> Self {
        self.rules_mut().key = Some(key);
        self
    }

    /// Where it is told that a key of pseudonyms is missing. Default: the report of the process.
    #[cfg(feature = "pseudonyms")]
    #[must_use]
    pub fn report(mut self, report: &SelfReport) -> Self {
        self.report = report.clone();
        self
    }

    pub(crate) fn hide_pattern(mut self, pattern: Pattern) -> Self {
        self.add(pattern);
        self
    }

    pub(crate) fn show_pattern(mut self, pattern: Pattern) -> Self {
        let rules = self.rules_mut();
        if let Some(allowed) = &mut rules.allowed {
            allowed.hidden.retain(|(hidden, _)| *hidden != pattern);
            allowed.keys.push(pattern.clone());
        }
        rules.keys.show(pattern);
        self
    }

    fn add(&mut self, pattern: Pattern) -> usize {
        let rules = self.rules_mut();
        let name = pattern.to_string();
        let rule = rules.keys.hide(pattern.clone());
        if rule == rules.rule_states.len() {
            rules.rule_states.push(RuleState::new(&name));
        }
        if let Some(allowed) = &mut rules.allowed {
            allowed.hidden.push((pattern, rule));
        }
        rule
    }

    fn rules_mut(&mut self) -> &mut Rules {
        Arc::make_mut(&mut self.rules)
    }

    /// What is shown of `value`, found by this rule under this name.
    fn replacement(&self, state: &RuleState, name: &str, value: &str) -> Cow<'static, str> {
        match (state.action.unwrap_or(self.rules.action), name) {
            (Action::Redact | Action::Remove, _) => Cow::Borrowed(REDACTED),
            (Action::KeepLast(count), _) => keep_last(value, count),
            #[cfg(feature = "pseudonyms")]
            (Action::Pseudonym, name) => match &self.rules.key {
                Some(key) => Cow::Owned(key.pseudonym(NormalizedKey::new(name).last(), value)),
                None => {
                    self.report_missing_key();
                    Cow::Borrowed(REDACTED)
                }
            },
        }
    }

    #[cfg(feature = "pseudonyms")]
    #[cold]
    fn report_missing_key(&self) {
        if !self.missing_key_reported.swap(true, Ordering::Relaxed) {
            let what = "pseudonyms are wanted and have no key: values are redacted instead; give one with `Policy::pseudonym_key`";
            self.report.fault(Fault::Setup, &what);
        }
    }
}

impl Redact for Policy {
    fn key(&self, key: &str) -> KeyVerdict {
        let rules = &self.rules;
        match rules.verdict(key) {
            Ok(verdict) => verdict,
            Err((rule, _)) => {
                let rule = &rules.rule_states[rule];
                let verdict = rule.verdict(rules.action);
                // Of others a value is counted.
                if verdict != KeyVerdict::Replace {
                    rule.count.fetch_add(1, Ordering::Relaxed);
                }
                verdict
            }
        }
    }

    fn key_of_bool(&self, key: &str) -> KeyVerdict {
        match self.rules.verdict(key) {
            Ok(KeyVerdict::Text) => KeyVerdict::Pass,
            Ok(verdict) => verdict,
            Err((_, Origin::BuiltIn)) => KeyVerdict::Pass,
            Err((rule, Origin::User)) => self.rules.rule_states[rule].verdict(self.rules.action),
        }
    }

    #[inline]
    fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.redact(None, text)
    }

    fn value<'t>(&self, key: &str, text: &'t str) -> Cow<'t, str> {
        if self.rules.keys.may_need_value(key)
            && let KeyDecision::HideUnlessAddress { rule } = self.rules.decide(key)
            && !is_network_address(text)
        {
            let state = &self.rules.rule_states[rule];
            state.count.fetch_add(1, Ordering::Relaxed);
            return self.replacement(state, key, text);
        }
        self.redact(Some(key), text)
    }

    /// Those of the detectors first, then those about keys as `key password`, and only those that
    /// did. A field that is hidden or left out by its name is counted once a callsite, which is how
    /// often a sink asks.
    fn counts(&self) -> Vec<(String, u64)> {
        let rules = &self.rules;
        let count = |rule: &RuleState| rule.count.load(Ordering::Relaxed);
        let detectors = rules.detectors.iter();
        let detectors = detectors.map(|rule| (rule.name.clone(), count(rule)));
        let keys = rules.rule_states.iter();
        let keys = keys.map(|rule| (format!("key {}", rule.name), count(rule)));
        let all = detectors.chain(keys);
        all.filter(|(_, count)| *count > 0).collect()
    }

    fn replace(&self, key: &str, value: &str) -> String {
        match self.rules.decide(key) {
            KeyDecision::Hide { rule, .. } => {
                let state = &self.rules.rule_states[rule];
                state.count.fetch_add(1, Ordering::Relaxed);
                self.replacement(state, key, value).into_owned()
            }
            KeyDecision::HideUnlessAddress { .. } | KeyDecision::Trust | KeyDecision::Pass => {
                REDACTED.to_owned()
            }
        }
    }
}

/// In short: how many rules there are, and what is looked for.
impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rules = &self.rules;
        let (keys, shown) = rules.keys.counts();
        let wanted =
            |detector: &Detector| rules.enabled_detectors & scan::detector_bit(*detector) != 0;
        let detectors: Vec<&str> = Detector::ALL
            .iter()
            .filter(|detector| wanted(detector))
            .map(|detector| detector.name())
            .collect();
        let mut policy = f.debug_struct("Policy");
        policy.field("keys", &keys).field("shown", &shown);
        if let Some(allowed) = &rules.allowed {
            policy.field("only", &allowed.keys.len());
        }
        policy
            .field("detectors", &format_args!("[{}]", detectors.join(", ")))
            .field("action", &rules.action)
            .finish_non_exhaustive()
    }
}

impl Rules {
    /// The verdict about a key; of one that a rule hides, the rule.
    fn verdict(&self, key: &str) -> Result<KeyVerdict, (usize, Origin)> {
        match (self.decide(key), &self.allowed) {
            (KeyDecision::Hide { rule, origin }, _) => Err((rule, origin)),
            (_, Some(allowed)) if !allowed.keys.iter().any(|pattern| pattern.is_of(key)) => {
                Ok(KeyVerdict::Redact)
            }
            (KeyDecision::Trust, None) => Ok(KeyVerdict::Trust),
            (KeyDecision::HideUnlessAddress { .. }, None) => Ok(KeyVerdict::Text),
            (KeyDecision::HideUnlessAddress { .. } | KeyDecision::Trust | KeyDecision::Pass, _) => {
                Ok(KeyVerdict::Pass)
            }
        }
    }

    /// What is done with the field of this name. Of a policy that shows only some keys, what was
    /// added to it decides; for the texts of what it shows the other rules are asked.
    fn decide(&self, key: &str) -> KeyDecision {
        let Some(allowed) = &self.allowed else {
            return self.keys.decide(key);
        };
        let mut hidden = allowed.hidden.iter();
        match hidden.find(|(pattern, _)| pattern.is_of(key)) {
            Some((_, rule)) if !self.keys.shows(key) => self.keys.hidden_by(*rule),
            _ => KeyDecision::Pass,
        }
    }
}

impl RuleState {
    /// What is done with a key that the rule hides, by this action if it has none of its own.
    fn verdict(&self, action: Action) -> KeyVerdict {
        match self.action.unwrap_or(action) {
            Action::Redact => KeyVerdict::Redact,
            Action::Remove => KeyVerdict::Remove,
            Action::KeepLast(_) => KeyVerdict::Replace,
            #[cfg(feature = "pseudonyms")]
            Action::Pseudonym => KeyVerdict::Replace,
        }
    }

    fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            action: None,
            count: Arc::default(),
        }
    }
}

/// The rules about personal data.
fn pii() -> impl Iterator<Item = usize> {
    let rules = RULES.named().iter().enumerate();
    rules
        .filter(|(_, (_, tier))| *tier == Tier::Pii)
        .map(|(rule, _)| rule)
}

/// The last `count` characters, if they are no more than half.
fn keep_last(value: &str, count: usize) -> Cow<'static, str> {
    let kept = count
        .checked_sub(1)
        .and_then(|skip| value.char_indices().rev().nth(skip));
    let length = value.chars().count();
    match kept {
        Some((from, _)) if length / 2 >= count => Cow::Owned(format!("***{}", &value[from..])),
        _ => Cow::Borrowed(REDACTED),
    }
}
