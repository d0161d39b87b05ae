// Package sources holds what we know about each sender, one YAML file per sender: stripe.yaml answers to
// POST /webhooks/stripe. A file says how the sender signs, where an event's id, type and license data lie, which
// events matter and why; a new sender is a new file, and no Go.
//
// The package only embeds the files, so that the webhook function and licensectl have the same ones. They are
// read, checked and compiled by internal/source.
package sources

import (
	"embed"
	"io/fs"
)

//go:embed *.yaml
var files embed.FS

// FS returns the files of this directory, <source>.yaml each. It is never nil and cannot be written to.
func FS() fs.FS { return files }
