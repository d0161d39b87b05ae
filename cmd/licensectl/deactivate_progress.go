package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"license-deactivator/internal/bulk"
)

// manyRows is from where a phase has a line per ten per cent where there is no terminal: a smaller one takes a moment.
const manyRows = 1000

// bulkProgress shows how far a bulk run is: by a bar on a terminal, by a line per ten per cent elsewhere, and by events
// with --json.
type bulkProgress struct {
	stderr   io.Writer
	events   *json.Encoder // nil without --json
	terminal bool

	phase string
	tenth int64 // the last one that was printed
	bar   *progressbar.ProgressBar
}

func newBulkProgress(stdout, stderr io.Writer, asJSON bool) *bulkProgress {
	p := &bulkProgress{stderr: stderr}
	if file, ok := stderr.(*os.File); ok {
		p.terminal = term.IsTerminal(int(file.Fd()))
	}
	if asJSON {
		p.events = json.NewEncoder(stdout)
		p.events.SetEscapeHTML(false)
	}
	return p
}

// progressEvent is an event of --json.
type progressEvent struct {
	Event string `json:"event"` // progress
	Phase string `json:"phase"`
	Done  int64  `json:"done"`
	Total int64  `json:"total"`
}

// show implements bulk.Job's Progress.
func (p *bulkProgress) show(now bulk.Progress) {
	if now.Phase != p.phase {
		p.end()
		p.phase = now.Phase
	}
	if p.terminal && p.events == nil {
		p.showBar(now)
		return
	}
	tenth := int64(10)
	if now.Total > 0 {
		tenth = 10 * now.Done / now.Total
	}
	if tenth <= p.tenth {
		return
	}
	p.tenth = tenth
	if p.events != nil {
		_ = p.events.Encode(progressEvent{"progress", now.Phase, now.Done, now.Total}) // the output keeps its first error
	} else if now.Total >= manyRows && (now.Phase != bulk.PhasePreview || now.Total >= 100*manyRows) {
		fmt.Fprintf(p.stderr, "%s: %d %%\n", phaseText(now.Phase), 10*tenth)
	}
}

func (p *bulkProgress) showBar(now bulk.Progress) {
	if p.bar == nil {
		p.bar = progressbar.NewOptions64(now.Total, progressbar.OptionSetWriter(p.stderr), progressbar.OptionSetDescription(phaseText(now.Phase)),
			progressbar.OptionSetWidth(10), progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionSetItsString("rows"),
			progressbar.OptionSetPredictTime(true), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish(),
			progressbar.OptionShowBytes(now.Phase == bulk.PhasePreview))
	}
	_ = p.bar.Set64(now.Done)
}

// clear takes the bar away until the next show.
func (p *bulkProgress) clear() {
	if p.bar != nil {
		_ = p.bar.Clear()
	}
}

// end ends the phase and takes its bar away.
func (p *bulkProgress) end() {
	p.clear()
	p.phase, p.tenth, p.bar = "", 0, nil
}

func phaseText(phase string) string {
	switch phase {
	case bulk.PhasePreview:
		return "Reading"
	case bulk.PhaseSend:
		return "Sending"
	case phaseCheck:
		return "Checking"
	}
	return "Outcomes"
}
