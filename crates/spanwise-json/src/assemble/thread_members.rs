//! The members with the name and the id of the thread.

use tracing_subscriber::fmt::MakeWriter;

use crate::{
    JsonLayer, escape, line_buffer::PaddedBytes, name_limits::limit_name, scratch::Scratch,
};

impl<W> JsonLayer<W>
where
    W: for<'w> MakeWriter<'w> + 'static,
{
    /// Appends the members, which are the same for all lines of a thread and a layer.
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

    /// Makes the members. `thread` is [`Scratch::thread`].
    #[cold]
    fn thread_members(&self, thread: &mut Option<(Option<Vec<u8>>, Vec<u8>)>) -> Vec<u8> {
        let (name, id) = thread.get_or_insert_with(|| {
            let thread = std::thread::current();
            let id = format!("{:?}", thread.id());
            let name = thread.name().map(|name| escape::quoted(&limit_name(name)));
            (name, escape::quoted(&id))
        });
        let is_required = self.template.table.thread.always;
        // In a format that requires the name, a thread without a name shows its id as the name.
        let shown_name = match name {
            None if is_required => Some(&*id),
            name => name.as_ref(),
        };
        let shows_name = self.options.thread_name || is_required;
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
