//! The policy: redaction rules, and the actions that replace what they match.

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
use spanwise_core::{KeyVerdict, ParseError, REDACTED, Redact};

use crate::{
    Detector,
    addresses::is_network_address,
    builtin_rules::{RULES, Tier},
    key_pattern::Pattern,
    key_rules::{KeyDecision, KeyRules, Origin},
    scan,
};
#[cfg(feature = "pseudonyms")]
use crate::{PseudonymKey, normalized_key::NormalizedKey};

/// The redaction rules. Clones are cheap and share their counters.
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
/// # Ok::<(), spanwise_core::ParseError>(())
/// ```
#[derive(Clone)]
pub struct Policy {
    rules: Arc<PolicyRules>,
    #[cfg(feature = "pseudonyms")]
    report: SelfReport,
    #[cfg(feature = "pseudonyms")]
    missing_key_reported: Arc<AtomicBool>,
}

#[derive(Debug, Clone)]
struct PolicyRules {
    keys: KeyRules,
    /// The state of each rule about keys, by the index of the rule.
    rule_states: Vec<RuleState>,
    /// The state of each detector, by its discriminant.
    detector_states: [RuleState; Detector::ALL.len()],
    /// The bits of the enabled detectors: see [`scan::detector_bit`].
    enabled_detectors: u32,
    /// If set, only these keys are shown.
    allowed: Option<AllowList>,
    /// The action of rules without their own action.
    action: Action,
    #[cfg(feature = "pseudonyms")]
    pseudonym_key: Option<PseudonymKey>,
}

/// The keys of [`Policy::allow_only`].
#[derive(Debug, Clone)]
struct AllowList {
    keys: Vec<Pattern>,
    /// Patterns that hide allowed keys again, because they were added after the list. Each has the
    /// index of its rule.
    hidden: Vec<(Pattern, usize)>,
}

/// The action and the counter of a key rule or of a detector.
#[derive(Debug, Clone)]
struct RuleState {
    name: String,
    /// `None` for the action of the policy.
    action: Option<Action>,
    /// The number of matches.
    count: Arc<AtomicU64>,
}

/// The verdict of the rules on a key.
enum RulesVerdict {
    /// The verdict does not depend on the action of a rule.
    Known(KeyVerdict),
    /// The rule with this index hides the key. The verdict depends on the rule's action.
    HiddenBy { rule: usize, origin: Origin },
}

/// The replacement for a value that a rule hides.
///
/// Inside a text, a value that is not one plain string becomes [`REDACTED`] with every action.
/// Examples are a list, and a string with a backslash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Action {
    /// [`REDACTED`].
    #[default]
    Redact,
    /// The field is removed. Inside a text, [`REDACTED`] replaces the value.
    Remove,
    /// `***` and the last `n` characters. A value shorter than `2 * n` characters becomes
    /// [`REDACTED`]. If `n` is 0, every value becomes [`REDACTED`].
    KeepLast(usize),
    /// A pseudonym, computed with the [`Policy::pseudonym_key`]. Equal values of fields with the
    /// same name have equal pseudonyms. Without that key, the value becomes [`REDACTED`], and the
    /// missing key is reported once.
    #[cfg(feature = "pseudonyms")]
    Pseudonym,
}

impl Policy {
    /// Creates a policy that hides secrets, such as passwords, tokens, keys and card numbers.
    #[must_use]
    pub fn secrets() -> Self {
        let mut policy = Self {
            rules: Arc::new(PolicyRules {
                keys: KeyRules::secrets(),
                rule_states: RULES
                    .named()
                    .iter()
                    .map(|(name, _)| RuleState::new(name))
                    .collect(),
                detector_states: Detector::ALL.map(|detector| RuleState::new(detector.name())),
                enabled_detectors: 0,
                allowed: None,
                action: Action::Redact,
                #[cfg(feature = "pseudonyms")]
                pseudonym_key: None,
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

    /// Creates a policy that hides [`secrets`](Self::secrets) and PII, such as names, addresses of
    /// all kinds, phone numbers and birth dates.
    #[must_use]
    pub fn secrets_and_pii() -> Self {
        Self::secrets().with_pii(None)
    }

    /// Switches the rules and detectors about PII on, and sets their action. With `None`, each
    /// keeps its action.
    pub(crate) fn with_pii(mut self, action: Option<Action>) -> Self {
        let rules = self.rules_mut();
        for rule in pii_rules() {
            rules.keys.switch(rule, true);
            let state = &mut rules.rule_states[rule];
            state.action = action.or(state.action);
        }
        for detector in Detector::ALL
            .into_iter()
            .filter(|detector| detector.is_pii())
        {
            self = self.enable_detector(detector);
            let state = &mut self.rules_mut().detector_states[detector as usize];
            state.action = action.or(state.action);
        }
        self
    }

    /// Switches the rules and detectors about PII off, except those that `except` names.
    pub(crate) fn without_pii(mut self, except: &[Pattern]) -> Self {
        let rules = self.rules_mut();
        for rule in pii_rules() {
            let stays_on = except
                .iter()
                .any(|pattern| pattern.built_in() == Some(rule));
            rules.keys.switch(rule, stays_on);
        }
        for detector in Detector::ALL
            .into_iter()
            .filter(|detector| detector.is_pii())
        {
            if !except
                .iter()
                .any(|pattern| pattern.detector() == Some(detector))
            {
                rules.enabled_detectors &= !scan::detector_bit(detector);
            }
        }
        self
    }

    /// Switches a detector on with its current action.
    pub(crate) fn enable_detector(mut self, detector: Detector) -> Self {
        self.rules_mut().enabled_detectors |= scan::detector_bit(detector);
        self
    }

    /// Creates a policy that hides [`secrets`](Self::secrets) and replaces PII by pseudonyms. You
    /// can follow a user through the log without knowing the identity of the user.
    #[cfg(feature = "pseudonyms")]
    #[must_use]
    pub fn secrets_and_pseudonyms(key: PseudonymKey) -> Self {
        Self::secrets()
            .with_pii(Some(Action::Pseudonym))
            .pseudonym_key(key)
    }

    /// Creates a policy that shows the values of these keys only. Shown texts and messages are
    /// still scanned for secrets and PII. [`hide`](Self::hide) hides an allowed key again, and
    /// [`show`](Self::show) allows another key.
    ///
    /// # Errors
    /// If a key is invalid.
    pub fn allow_only<'k>(keys: impl IntoIterator<Item = &'k str>) -> Result<Self, ParseError> {
        let allowed: Result<Vec<Pattern>, ParseError> = keys.into_iter().map(str::parse).collect();
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
    /// Names are compared in lower case, by their letters and digits. The part after the last dot
    /// of a key is also compared. `[*]` is any element of an array. Your rule takes precedence over
    /// built-in rules, and hides values of every type.
    ///
    /// The name of a built-in rule, such as `email`, also switches that rule on. Built-in rules
    /// match words, so `user_email` is also hidden.
    ///
    /// # Errors
    /// If the key is invalid.
    pub fn hide(self, key: &str) -> Result<Self, ParseError> {
        Ok(self.hide_pattern(key.parse()?))
    }

    /// Hides a key like [`hide`](Self::hide), with this action. The action also applies to the
    /// built-in rule with this name.
    ///
    /// # Errors
    /// If the key is invalid.
    pub fn hide_with(mut self, key: &str, action: Action) -> Result<Self, ParseError> {
        let pattern: Pattern = key.parse()?;
        let built_in = pattern.built_in();
        let rule = self.add(pattern);
        for rule in built_in.into_iter().chain([rule]) {
            self.rules_mut().rule_states[rule].action = Some(action);
        }
        Ok(self)
    }

    /// Shows the values of a key, even if a rule hides it. Their text is still scanned.
    ///
    /// The name of a built-in rule, such as `session`, switches that rule off, so `user_session` is
    /// also shown. `session_id` has its own rule and stays hidden.
    ///
    /// # Errors
    /// If the key is invalid.
    pub fn show(self, key: &str) -> Result<Self, ParseError> {
        Ok(self.show_pattern(key.parse()?))
    }

    /// Switches a detector on with this action.
    #[must_use]
    pub fn detect(mut self, detector: Detector, action: Action) -> Self {
        let rules = self.rules_mut();
        rules.enabled_detectors |= scan::detector_bit(detector);
        rules.detector_states[detector as usize].action = Some(action);
        self
    }

    /// Switches a detector off.
    #[must_use]
    pub fn without_detector(mut self, detector: Detector) -> Self {
        self.rules_mut().enabled_detectors &= !scan::detector_bit(detector);
        self
    }

    /// Sets the action of rules without their own action. Defaults to [`Action::Redact`].
    #[must_use]
    pub fn action(mut self, action: Action) -> Self {
        self.rules_mut().action = action;
        self
    }

    /// Sets the key for [`Action::Pseudonym`]. Defaults to none.
    #[cfg(feature = "pseudonyms")]
    #[must_use]
    pub fn pseudonym_key(mut self, key: PseudonymKey) -> Self {
        self.rules_mut().pseudonym_key = Some(key);
        self
    }

    /// Sets where a missing pseudonym key is reported. Defaults to the process-wide [`SelfReport`].
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

    /// Adds a rule that hides the keys of `pattern`. Returns the index of the rule.
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

    fn rules_mut(&mut self) -> &mut PolicyRules {
        Arc::make_mut(&mut self.rules)
    }

    /// Returns the replacement that a rule makes for `value`. `name` is the key of the value.
    fn replacement(&self, state: &RuleState, name: &str, value: &str) -> Cow<'static, str> {
        // Only pseudonyms depend on the name.
        #[cfg(not(feature = "pseudonyms"))]
        let _ = name;
        match state.action.unwrap_or(self.rules.action) {
            Action::Redact | Action::Remove => Cow::Borrowed(REDACTED),
            Action::KeepLast(count) => keep_last(value, count),
            #[cfg(feature = "pseudonyms")]
            Action::Pseudonym => match &self.rules.pseudonym_key {
                Some(key) => Cow::Owned(key.pseudonym(NormalizedKey::new(name).last_part(), value)),
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
            let what = "no key for pseudonyms: values are redacted instead; set one with \
                        `Policy::pseudonym_key`";
            self.report.fault(Fault::Setup, &what);
        }
    }
}

impl Redact for Policy {
    fn key(&self, key: &str) -> KeyVerdict {
        let rules = &self.rules;
        match rules.verdict(key) {
            RulesVerdict::Known(verdict) => verdict,
            RulesVerdict::HiddenBy { rule, .. } => {
                let rule = &rules.rule_states[rule];
                let verdict = rule.verdict(rules.action);
                // `replace` counts the values of the verdict `Replace`. The other verdicts are
                // counted here, once per callsite, because sinks do not report each value.
                if verdict != KeyVerdict::Replace {
                    rule.count.fetch_add(1, Ordering::Relaxed);
                }
                verdict
            }
        }
    }

    fn key_of_bool(&self, key: &str) -> KeyVerdict {
        match self.rules.verdict(key) {
            RulesVerdict::Known(KeyVerdict::Text) => KeyVerdict::Pass,
            RulesVerdict::Known(verdict) => verdict,
            RulesVerdict::HiddenBy { rule, origin } => match origin {
                Origin::BuiltIn => KeyVerdict::Pass,
                Origin::User => self.rules.rule_states[rule].verdict(self.rules.action),
            },
        }
    }

    #[inline]
    fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.redact(None, text)
    }

    fn value<'t>(&self, key: &str, text: &'t str) -> Cow<'t, str> {
        if self.rules.keys.may_depend_on_value(key)
            && let KeyDecision::HideUnlessNetworkAddress { rule } = self.rules.decide(key)
            && !is_network_address(text)
        {
            // A key such as `address` may hold a postal address, which the rule hides, or a network
            // address, which the detectors handle.
            let state = &self.rules.rule_states[rule];
            state.count.fetch_add(1, Ordering::Relaxed);
            return self.replacement(state, key, text);
        }
        self.redact(Some(key), text)
    }

    fn redact_into(&self, key: Option<&str>, text: &str, shown: &mut String) -> bool {
        if let Some(key) = key
            && self.rules.keys.may_depend_on_value(key)
        {
            let value = self.value(key, text);
            let is_changed = matches!(value, Cow::Owned(_)) || value != text;
            if is_changed {
                shown.push_str(&value);
            }
            return is_changed;
        }
        self.append_redacted(key, text, shown)
    }

    /// Returns the counts that are not zero: first those of detectors, under names such as `email`,
    /// then those of key rules, such as `key password`. A field that is hidden or removed because
    /// of its key counts once per callsite and sink.
    fn counts(&self) -> Vec<(String, u64)> {
        let rules = &self.rules;
        let count = |rule: &RuleState| rule.count.load(Ordering::Relaxed);
        let detectors = rules.detector_states.iter();
        let detectors = detectors.map(|rule| (rule.name.clone(), count(rule)));
        let keys = rules.rule_states.iter();
        let keys = keys.map(|rule| (format!("key {}", rule.name), count(rule)));
        let mut counts: Vec<(String, u64)> = Vec::new();
        for (name, count) in detectors.chain(keys).filter(|(_, count)| *count > 0) {
            // A user rule may have the name of a built-in rule.
            match counts.iter_mut().find(|(known, _)| *known == name) {
                Some((_, sum)) => *sum += count,
                None => counts.push((name, count)),
            }
        }
        counts
    }

    fn replace(&self, key: &str, value: &str) -> String {
        match self.rules.decide(key) {
            KeyDecision::Hide { rule, .. } => {
                let state = &self.rules.rule_states[rule];
                state.count.fetch_add(1, Ordering::Relaxed);
                self.replacement(state, key, value).into_owned()
            }
            // Not expected, because callers request a replacement only after the verdict `Replace`.
            // The value is hidden to be safe.
            KeyDecision::HideUnlessNetworkAddress { .. }
            | KeyDecision::Trust
            | KeyDecision::Pass => REDACTED.to_owned(),
        }
    }
}

/// Shows how many rules hide and show keys, and the names of the enabled detectors.
impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rules = &self.rules;
        let (keys, shown) = rules.keys.counts();
        let wanted = Detector::ALL
            .into_iter()
            .filter(|detector| self.wants(*detector));
        let detectors: Vec<&str> = wanted.map(Detector::name).collect();
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

impl PolicyRules {
    /// Returns the verdict on a key.
    fn verdict(&self, key: &str) -> RulesVerdict {
        match (self.decide(key), &self.allowed) {
            (KeyDecision::Hide { rule, origin }, _) => RulesVerdict::HiddenBy { rule, origin },
            (_, Some(allowed))
                if !allowed
                    .keys
                    .iter()
                    .any(|pattern| pattern.matches_written(key)) =>
            {
                RulesVerdict::Known(KeyVerdict::Redact)
            }
            (KeyDecision::Trust, None) => RulesVerdict::Known(KeyVerdict::Trust),
            // The text decides: see `Policy::value`.
            (KeyDecision::HideUnlessNetworkAddress { .. }, None) => {
                RulesVerdict::Known(KeyVerdict::Text)
            }
            (
                KeyDecision::HideUnlessNetworkAddress { .. }
                | KeyDecision::Trust
                | KeyDecision::Pass,
                _,
            ) => RulesVerdict::Known(KeyVerdict::Pass),
        }
    }

    /// Returns the decision about the key of a field. With an allow list, only rules that were
    /// added after the list decide about fields. All rules decide about keys inside a text, so the
    /// scan of a text calls [`KeyRules::decide`] instead.
    fn decide(&self, key: &str) -> KeyDecision {
        let Some(allowed) = &self.allowed else {
            return self.keys.decide(key);
        };
        let mut hidden = allowed.hidden.iter();
        match hidden.find(|(pattern, _)| pattern.matches_written(key)) {
            Some((_, rule)) if !self.keys.shows(key) => self.keys.hidden_by(*rule),
            _ => KeyDecision::Pass,
        }
    }
}

impl RuleState {
    /// Returns the verdict on keys that the rule hides.
    fn verdict(&self, default_action: Action) -> KeyVerdict {
        match self.action.unwrap_or(default_action) {
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

/// Returns the indices of the built-in rules about PII.
fn pii_rules() -> impl Iterator<Item = usize> {
    let rules = RULES.named().iter().enumerate();
    rules
        .filter(|(_, (_, tier))| *tier == Tier::Pii)
        .map(|(rule, _)| rule)
}

/// Returns `***` and the last `count` characters. Returns [`REDACTED`] if `count` is 0 or more than
/// half of the characters.
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
