//! Texts that other programs write: colors, reports of new secrets, and bodies of requests.
//!
//! `«…»` marks what must be hidden.

use crate::text_grammar::check;

#[test]
fn passwords_in_forms_with_several_parts() {
    check(&[
        "--B\r\nContent-Disposition: form-data; name=\"user\"\r\n\r\nada\r\n--B\r\n\
         Content-Disposition: form-data; name=\"password\"\r\n\r\n«tulip\r\n 9»\r\n--B--\r\n",
        "Content-Disposition: form-data; name=\"pin\"\nContent-Type: text/plain\n\n«4821»\n--B",
        "{\"body\":\"Content-Disposition: form-data; name=\\\"password\\\"\\r\\n\\r\\n«tulip 9»\\r\\n--B--\",\"n\":1}",
        "{\"body\":\"Content-Disposition: form-data; name=\\\"password\\\"\\r\\n\\r\\n«tulip 9»\",\"n\":1}",
        "form-data; name=\"password\"\n\n«tulip»\n--B\nform-data; name=\"n\"\n\n3\n--B--",
        "form-data; name=\"note\"\n\ntulip\n--B--",
        "name=\"password\"\n\ntulip\n--B--",
    ]);
}
