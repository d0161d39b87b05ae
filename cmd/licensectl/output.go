package main

import (
	"fmt"
	"io"
	"sync"
)

// checkedWriter keeps the first write error, so that a full disk or a closed pipe does not look like success.
type checkedWriter struct {
	to  io.Writer
	mu  sync.Mutex
	err error
}

func (c *checkedWriter) Write(p []byte) (int, error) {
	n, err := c.to.Write(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = err
	}
	return n, err
}

// failed returns the error of the output, nil for none.
func (c *checkedWriter) failed() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		return nil
	}
	return failed(fmt.Errorf("the output could not be written: %w", c.err), "is the disk full, or has the other end of the pipe closed?")
}
