//! The values that the workloads log.

use uuid::Uuid;

/// Read anew for every event, so that nothing can be encoded while compiling.
#[derive(Debug)]
pub(crate) struct Data {
    pub(crate) order_number: u64,
    pub(crate) amount: f64,
    pub(crate) express: bool,
    /// 24 bytes.
    pub(crate) customer: &'static str,

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

    /// 2 KiB, of which every twentieth byte needs an escape.
    pub(crate) body: String,
}

impl Data {
    pub(crate) fn new() -> Self {
        Self {
            order_number: 184_467,
            amount: 149.95,
            express: true,
            customer: "customer-0042@example.io",
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
            body: body(),
        }
    }
}

/// One escape at an irregular place in every twenty bytes: at a regular one, a branch predictor
/// would know it in advance.
fn body() -> String {
    const LEN: usize = 2048;
    const ESCAPED: [char; 4] = ['"', '\\', '\n', '\t'];
    let mut random: u32 = 2_463_534_242;
    let mut place = 0;
    (0..LEN)
        .map(|at| {
            if at % 20 == 0 {
                // xorshift32
                random ^= random << 13;
                random ^= random >> 17;
                random ^= random << 5;
                place = at + random as usize % 20;
            }
            if at == place {
                ESCAPED[random as usize / 32 % ESCAPED.len()]
            } else {
                char::from(b'a' + (at * 7 % 26) as u8)
            }
        })
        .collect()
}
