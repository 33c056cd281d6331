//! Macros that forward `Layer` methods from a wrapper to its inner layer.
//!
//! One of these methods is `downcast_raw`, with which tracing-opentelemetry, tracing-error and the
//! filters of tracing-subscriber find layers. A wrapper that does not forward it breaks them
//! silently. The method is unsafe because its caller dereferences the result.

/// Forwards all [`Layer`](tracing_subscriber::Layer) methods except `on_event`.
macro_rules! forward_all_but_events {
    ($inner:ident) => {
        $crate::forward!($inner: on_register_dispatch, event_enabled);
        $crate::forward!($inner: on_layer, register_callsite, enabled, max_level_hint, on_new_span, on_record);
        $crate::forward!($inner: on_follows_from, on_enter, on_exit, on_close, on_id_change);
        $crate::forward_downcast!(this, id => this.$inner.downcast_raw(id));
    };
}

/// Forwards the named [`Layer`](tracing_subscriber::Layer) methods to the field `$inner`. Use it in
/// an `impl<S, …> Layer<S>`. The crate must depend on `tracing`, `tracing-core` and
/// `tracing-subscriber`.
#[doc(hidden)]
#[macro_export]
macro_rules! forward {
    (@on_register_dispatch $inner:ident) => {
        fn on_register_dispatch(&self, dispatch: &tracing::Dispatch) {
            tracing_subscriber::Layer::<S>::on_register_dispatch(&self.$inner, dispatch);
        }
    };
    (@on_layer $inner:ident) => {
        fn on_layer(&mut self, subscriber: &mut S) {
            self.$inner.on_layer(subscriber);
        }
    };
    (@register_callsite $inner:ident) => {
        fn register_callsite(&self, callsite: &'static tracing_core::Metadata<'static>) -> tracing_core::Interest {
            tracing_subscriber::Layer::<S>::register_callsite(&self.$inner, callsite)
        }
    };
    (@max_level_hint $inner:ident) => {
        fn max_level_hint(&self) -> Option<tracing_core::LevelFilter> {
            tracing_subscriber::Layer::<S>::max_level_hint(&self.$inner)
        }
    };
    (@enabled $inner:ident) => {
        $crate::forward!(@call $inner.enabled(metadata: &tracing_core::Metadata<'_>) -> bool);
    };
    (@event_enabled $inner:ident) => {
        $crate::forward!(@call $inner.event_enabled(event: &tracing::Event<'_>) -> bool);
    };
    (@on_new_span $inner:ident) => {
        $crate::forward!(@call $inner.on_new_span(
            attrs: &tracing_core::span::Attributes<'_>, id: &tracing_core::span::Id) -> ());
    };
    (@on_record $inner:ident) => {
        $crate::forward!(@call $inner.on_record(
            id: &tracing_core::span::Id, values: &tracing_core::span::Record<'_>) -> ());
    };
    (@on_follows_from $inner:ident) => {
        $crate::forward!(@call $inner.on_follows_from(
            id: &tracing_core::span::Id, follows: &tracing_core::span::Id) -> ());
    };
    (@on_enter $inner:ident) => {
        $crate::forward!(@call $inner.on_enter(id: &tracing_core::span::Id) -> ());
    };
    (@on_exit $inner:ident) => {
        $crate::forward!(@call $inner.on_exit(id: &tracing_core::span::Id) -> ());
    };
    (@on_close $inner:ident) => {
        $crate::forward!(@call $inner.on_close(id: tracing_core::span::Id) -> ());
    };
    (@on_id_change $inner:ident) => {
        $crate::forward!(@call $inner.on_id_change(
            old: &tracing_core::span::Id, new: &tracing_core::span::Id) -> ());
    };
    (@call $inner:ident.$method:ident($($arg:ident: $ty:ty),+) -> $result:ty) => {
        fn $method(&self, $($arg: $ty,)+ ctx: tracing_subscriber::layer::Context<'_, S>) -> $result {
            self.$inner.$method($($arg,)+ ctx)
        }
    };
    ($inner:ident: $($method:ident),+) => {
        $($crate::forward!(@$method $inner);)+
    };
}

/// Implements `downcast_raw`: if the query is for the type of the wrapper, returns the wrapper. If
/// not, returns `$look_up`, which searches the inner layers.
#[doc(hidden)]
#[macro_export]
macro_rules! forward_downcast {
    ($this:ident, $id:ident => $look_up:expr) => {
        #[expect(
            unsafe_code,
            reason = "the method is unsafe to call, so forwarding the call is unsafe too"
        )]
        unsafe fn downcast_raw(&self, $id: std::any::TypeId) -> Option<*const ()> {
            let $this = self;
            if $id == std::any::TypeId::of::<Self>() {
                return Some(std::ptr::from_ref($this).cast());
            }
            // SAFETY: the contract requires a pointer that is valid as the type `$id` for as long
            // as `self` is borrowed. `self` is valid as its own type. Any other pointer comes from
            // an inner layer under the same contract. `self` owns that layer, so the layer is
            // neither moved nor mutably borrowed while `self` is borrowed.
            unsafe { $look_up }
        }
    };
}

pub(crate) use forward_all_but_events;
