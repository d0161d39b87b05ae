package console

import (
	"cmp"
	"errors"
	"net/http"
)

// samplesPage is the samples by sender.
type samplesPage struct {
	Place   string
	Writes  bool
	Senders []sender
}

type sender struct {
	Name    string
	Samples []Sample
}

// errNoSamples is the error of a page without samples.
var errNoSamples = errors.New("there are no samples to send here: they are for licensectl local")

func (s *Server) samples(*http.Request) (view, error) {
	if s.Samples == nil {
		return view{}, errNoSamples
	}
	page := samplesPage{Place: s.Place, Writes: s.AllowWrites}
	for _, one := range s.Samples.Samples() {
		if n := len(page.Senders); n == 0 || page.Senders[n-1].Name != one.Source {
			page.Senders = append(page.Senders, sender{Name: one.Source})
		}
		last := &page.Senders[len(page.Senders)-1]
		last.Samples = append(last.Samples, one)
	}
	return view{name: "samples", content: page}, nil
}

// sentNote is the answer to a sample.
type sentNote struct {
	Name string
	Sent
	Accepted bool
}

func (s *Server) send(r *http.Request) (view, error) {
	switch {
	case s.Samples == nil:
		return view{}, errNoSamples
	case !s.AllowWrites:
		return view{}, errReadOnly
	}
	if err := r.ParseForm(); err != nil {
		return view{}, errors.Join(errForm, err)
	}
	name := r.PostForm.Get("name")
	sent, err := s.Samples.Send(r.Context(), name)
	if err != nil {
		return view{}, err
	}
	return view{name: "sent", content: sentNote{cmp.Or(name, "?"), sent, sent.Status < http.StatusMultipleChoices}}, nil
}
