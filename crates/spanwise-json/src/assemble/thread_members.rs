//! The members with the name and the id of the thread.

use tracing_subscriber::fmt::MakeWriter;

use crate::{
    JsonLayer, escape, line_buffer::PaddedBytes, name_limits::limit_name, scratch::Scratch,
};

impl<W> JsonLayer<W>
where
    W: for<'w> MakeWriter<'w> + 'static,
{
    pub(super) fn push_thread(&self, scratch: &mut Scratch) {
        let Scratch {
            line,
            thread,
            thread_members,
            ..
        } = scratch;
        let members = thread_members.for_layer(self.id);
        let make = || PaddedBytes::new(self.thread_members(thread));
        line.push_padded(members.get_or_insert_with(make));
    }

    #[cold]
    fn thread_members(&self, thread: &mut Option<(Option<Vec<u8>>, Vec<u8>)>) -> Vec<u8> {
        let (name, id) = thread.get_or_insert_with(|| {
            let thread = std::thread::current();
            let id = format!("{:?}", thread.id());
            let name = thread.name().map(|name| escape::quoted(&limit_name(name)));
            (name, escape::quoted(&id))
        });
        let is_always_shown = self.template.table.thread.always;
        // A format that requires the name gets the id of a thread without a name.
        let shown_name = match name {
            None if is_always_shown => Some(&*id),
            name => name.as_ref(),
        };
        let shows_name = self.options.thread_name || is_always_shown;
        let [name_opening, id_opening] = &self.template.thread;
        let mut members = Vec::new();
        if let (true, Some(name)) = (shows_name, shown_name) {
            members.extend_from_slice(name_opening);
            members.extend_from_slice(name);
        }
        if self.options.thread_id {
            members.extend_from_slice(id_opening);
            members.extend_from_slice(id);
        }
        members
    }
}
