package main

import (
	"fmt"
	"io/fs"
	"path"
	"strings"

	"license-deactivator/internal/source"
)

// unread finds files that look like a sender's and are never read.
func (c *check) unread() {
	entries, err := fs.ReadDir(c.files.sources(), ".")
	if err != nil {
		return // loading says so
	}
	for _, entry := range entries {
		name := entry.Name()
		extension := path.Ext(name)
		if extension != ".yaml" && (strings.EqualFold(extension, ".yaml") || strings.EqualFold(extension, ".yml")) {
			c.fault(c.file(name), "this file is never read: rename it to %s.yaml, or remove it", strings.TrimSuffix(name, extension))
		}
	}
}

// dangers prints what a sender's file allows and should not.
func (c *check) dangers(of *source.Source) {
	for _, d := range of.Dangers() {
		where := fmt.Sprintf("%s:%d", c.file(of.Name+".yaml"), d.Line)
		if d.Warning {
			c.warn(where, "%s", d.Text)
		} else {
			c.fault(where, "%s", d.Text)
		}
	}
}
