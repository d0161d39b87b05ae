package main

import (
	"fmt"
	"io"
	"os"

	"license-deactivator/internal/bulk"
)

// spool writes stdin into a file beside the journal, from which the run reads: the preview and the act then read the same
// rows. The file has a name of its own until keepSpool. remove deletes it if it was not kept.
func spool(stdin io.Reader, job *bulk.Job) (remove func(), err error) {
	job.Name, job.Path, job.Rejected = "stdin", job.Journal+".input.tmp", job.Journal+".rejected.csv"
	file, err := os.OpenFile(job.Path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, failed(fmt.Errorf("stdin cannot be kept beside the journal: %w", err), "give --journal in a folder that can be written")
	}
	temporary := job.Path
	remove = func() { _ = os.Remove(temporary) } // it is gone once it was kept
	_, err = io.Copy(file, stdin)
	if err == nil {
		err = file.Sync()
	}
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err != nil {
		remove()
		return nil, failed(fmt.Errorf("stdin cannot be kept beside the journal: %w", err), "is the disk full?")
	}
	return remove, nil
}

// keepSpool gives the file its name. It replaces the one of an earlier command of the same run, which is equal, or that of a
// preview of which nothing was sent.
func keepSpool(job *bulk.Job, r *bulk.Run) error {
	kept := job.Journal + ".input"
	if err := os.Rename(job.Path, kept); err != nil {
		return failed(fmt.Errorf("stdin cannot be kept beside the journal: %w", err), "")
	}
	job.Path = kept
	r.Moved(kept)
	return nil
}
