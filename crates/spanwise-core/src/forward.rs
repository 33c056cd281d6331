//! Forwarding what a wrapper must not swallow.
//!
//! `Layer::downcast_raw` is an unsafe method because its caller
//! dereferences what it returns; tracing-opentelemetry, tracing-error and the filters of tracing-subscriber look layers up by
//! it, so a wrapper that does not forward it breaks them in silence.

/// The [`Layer`](tracing_subscriber::Layer) methods a wrapper of one inner layer passes on unchanged, `downcast_raw` included.
///
/// What is left to the wrapper is what it is for: `on_event`.
macro_rules! forward_all_but_events {
    ($inner:ident) => {
        fn on_register_dispatch(&self, dispatch: &tracing::Dispatch) {
            self.$inner.on_register_dispatch(dispatch);
        }

        fn on_layer(&mut self, subscriber: &mut S) {
            self.$inner.on_layer(subscriber);
        }

        fn register_callsite(
            &self,
            callsite: &'static tracing_core::Metadata<'static>,
        ) -> tracing_core::Interest {
            self.$inner.register_callsite(callsite)
        }

        fn enabled(
            &self,
            metadata: &tracing_core::Metadata<'_>,
            ctx: tracing_subscriber::layer::Context<'_, S>,
        ) -> bool {
            self.$inner.enabled(metadata, ctx)
        }

        fn max_level_hint(&self) -> Option<tracing_core::LevelFilter> {
            self.$inner.max_level_hint()
        }

        fn event_enabled(
            &self,
            event: &tracing::Event<'_>,
            ctx: tracing_subscriber::layer::Context<'_, S>,
        ) -> bool {
            self.$inner.event_enabled(event, ctx)
        }

        fn on_new_span(
            &self,
            attrs: &tracing_core::span::Attributes<'_>,
            id: &tracing_core::span::Id,
            ctx: tracing_subscriber::layer::Context<'_, S>,
        ) {
            self.$inner.on_new_span(attrs, id, ctx);
        }

        fn on_record(
            &self,
            id: &tracing_core::span::Id,
            values: &tracing_core::span::Record<'_>,
            ctx: tracing_subscriber::layer::Context<'_, S>,
        ) {
            self.$inner.on_record(id, values, ctx);
        }

        fn on_follows_from(
            &self,
            id: &tracing_core::span::Id,
            follows: &tracing_core::span::Id,
            ctx: tracing_subscriber::layer::Context<'_, S>,
        ) {
            self.$inner.on_follows_from(id, follows, ctx);
        }

        fn on_enter(
            &self,
            id: &tracing_core::span::Id,
            ctx: tracing_subscriber::layer::Context<'_, S>,
        ) {
            self.$inner.on_enter(id, ctx);
        }

        fn on_exit(
            &self,
            id: &tracing_core::span::Id,
            ctx: tracing_subscriber::layer::Context<'_, S>,
        ) {
            self.$inner.on_exit(id, ctx);
        }

        fn on_close(
            &self,
            id: tracing_core::span::Id,
            ctx: tracing_subscriber::layer::Context<'_, S>,
        ) {
            self.$inner.on_close(id, ctx);
        }

        fn on_id_change(
            &self,
            old: &tracing_core::span::Id,
            new: &tracing_core::span::Id,
            ctx: tracing_subscriber::layer::Context<'_, S>,
        ) {
            self.$inner.on_id_change(old, new, ctx);
        }

        $crate::forward::forward_downcast!(this, id => this.$inner.downcast_raw(id));
    };
}

/// `downcast_raw`: the wrapper itself if its own type is asked for, else what `$look_up` finds in the layers it holds.
///
/// Exported for the wrappers of the other crates.
#[macro_export]
#[doc(hidden)]
macro_rules! __forward_downcast {
    ($this:ident, $id:ident => $look_up:expr) => {
        #[expect(
            unsafe_code,
            reason = "the method is unsafe to call, so it is unsafe to pass on"
        )]
        unsafe fn downcast_raw(&self, $id: std::any::TypeId) -> Option<*const ()> {
            let $this = self;
            if $id == std::any::TypeId::of::<Self>() {
                return Some(std::ptr::from_ref($this).cast());
            }
            // SAFETY: the contract asks for a pointer that is valid as the type `$id` for as long as `self` is borrowed. `self`
            // is one when its own type was asked for. Else the pointer comes from an inner layer that is asked under the same
            // contract; `self` owns that layer and never moves it or gives it out mutably while `self` is borrowed.
            unsafe { $look_up }
        }
    };
}

pub use __forward_downcast as forward_downcast;
pub(crate) use forward_all_but_events;
