//! The values that the workloads log.

use uuid::Uuid;

/// The values of one process. They are read anew for every event, so that the compiler cannot
/// encode them.
#[derive(Debug)]
pub(crate) struct Data {
    pub(crate) order_number: u64,
    pub(crate) amount: f64,
    pub(crate) express: bool,
    /// Texts of 24 bytes, one for each event in turn: a cache of the last texts does not help.
    pub(crate) customers: Vec<String>,

    pub(crate) route: &'static str,
    pub(crate) port: u64,
    pub(crate) request_id: Uuid,
    pub(crate) queue: &'static str,
    pub(crate) attempt: u64,
    pub(crate) order_id: Uuid,
    pub(crate) provider: &'static str,
    pub(crate) timeout_ms: u64,
    pub(crate) payment_id: Uuid,

    pub(crate) method: &'static str,
    pub(crate) tenant_id: &'static str,
    pub(crate) user_id: u64,
    pub(crate) status: u64,
    pub(crate) elapsed_ms: f64,

    /// A long text, in which one of twenty characters needs an escape.
    pub(crate) body: String,
}

impl Data {
    pub(crate) fn new() -> Self {
        Self {
            order_number: 184_467,
            amount: 149.95,
            express: true,
            customers: clean(),
            route: "/v1/orders/{order_id}",
            port: 8443,
            request_id: Uuid::from_u128(0x0192_f3a4_5b6c_7d8e_9fa0_b1c2_d3e4_f506),
            queue: "orders-eu-central",
            attempt: 2,
            order_id: Uuid::from_u128(0x0192_f3a4_5b6d_7001_8b2c_3d4e_5f60_7182),
            provider: "stripe",
            timeout_ms: 30_000,
            payment_id: Uuid::from_u128(0x0192_f3a4_5b6e_7abc_adef_0123_4567_89ab),
            method: "POST",
            tenant_id: "acme-gmbh",
            user_id: 90_210,
            status: 201,
            elapsed_ms: 12.625,
            body: letters(2 * 1024),
        }
    }

    /// Returns the id of a request. Each has its own, so that a cache of the last spans does not
    /// help.
    #[inline]
    pub(crate) fn id_of_request(&self, turn: u64) -> Uuid {
        Uuid::from_u128(self.request_id.as_u128() + u128::from(turn))
    }

    #[inline]
    pub(crate) fn customer(&self, turn: u64) -> &str {
        &self.customers[turn as usize % CUSTOMERS]
    }
}

const CUSTOMERS: usize = 1024;

fn customers(text: impl Fn(usize) -> String) -> Vec<String> {
    (0..CUSTOMERS).map(text).collect()
}

/// Returns texts in which a policy finds nothing, although their digits have to be scanned.
pub(crate) fn clean() -> Vec<String> {
    customers(|number| format!("customer-{number:04}-of-example"))
}

/// Returns e-mail addresses.
pub(crate) fn hidden() -> Vec<String> {
    customers(|number| format!("customer-{number:04}@example.io"))
}

/// Returns, in turn, public IP addresses with their ports, and texts that only resemble addresses,
/// because a number has a leading zero.
pub(crate) fn mixed() -> Vec<String> {
    customers(|number| {
        let last = number / 2 % 64;
        match number % 2 {
            0 => format!("81.42.117.1{last:02}:49152-eu-1"),
            _ => format!("81.42.118.0{last:02}:49152-eu-1"),
        }
    })
}

/// Returns a text without digits.
pub(crate) fn letters(len: usize) -> String {
    escaped(len, |at| char::from(b'a' + (at * 7 % 26) as u8))
}

/// Returns a text with numbers, as in logs.
pub(crate) fn text(len: usize) -> String {
    const WORDS: &[u8] =
        b"order 184467 has 42 items, 3 of them late by 12625 ms; retry 7 of 10 at 09:41, ";
    escaped(len, |at| char::from(WORDS[at % WORDS.len()]))
}

/// Returns a text with an escape at a random position in every twenty bytes. A branch predictor
/// would learn a regular position.
fn escaped(len: usize, char_at: impl Fn(usize) -> char) -> String {
    const ESCAPED: [char; 4] = ['"', '\\', '\n', '\t'];
    let mut random: u32 = 2_463_534_242;
    let mut escape_at = 0;
    (0..len)
        .map(|at| {
            if at % 20 == 0 {
                // xorshift32
                random ^= random << 13;
                random ^= random >> 17;
                random ^= random << 5;
                escape_at = at + random as usize % 20;
            }
            if at == escape_at {
                ESCAPED[random as usize / 32 % ESCAPED.len()]
            } else {
                char_at(at)
            }
        })
        .collect()
}
