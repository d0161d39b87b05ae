package licenseapitest

import (
	"io"
	"net/http"
	"strconv"
)

// serveCall counts the call, lets the fault have its way before or after the work, and answers.
func (s *Server) serveCall(w http.ResponseWriter, r *http.Request) {
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBodyBytes))
	if err != nil {
		s.write(w, refuse("validation_error"))
		return
	}
	req, problem := parseRequest(text)
	call, fault, limited := s.enter(r, req)
	defer s.leave(call)

	if limited != nil {
		s.write(w, *limited)
		return
	}
	if fault.After {
		done := s.work(r, req, problem)
		s.misbehave(w, r, fault, done)
		return
	}
	if !sleep(r.Context(), fault.Delay) {
		s.count("abandoned")
		return
	}
	fault.Delay = 0
	if fault.Status != 0 || fault.Reset {
		s.misbehave(w, r, fault, reply{})
		return
	}
	s.misbehave(w, r, fault, s.work(r, req, problem))
}

// enter counts a call in and finds its fault.
func (s *Server) enter(r *http.Request, req request) (Call, Fault, *reply) {
	s.mu.Lock()
	defer s.mu.Unlock()
	license := req.license()
	s.counts.Calls++
	s.times[license]++
	s.inside[license]++
	s.counts.AtOnce = max(s.counts.AtOnce, s.inside[license])
	call := Call{
		Number: s.counts.Calls, Times: s.times[license], Product: text(req.Product), LicenseKey: text(req.LicenseKey),
		Username: text(req.Username), HardwareID: text(req.HardwareID), license: license,
	}
	if s.flood != nil {
		if limited := s.flood.refuse(r, s.now()); limited != nil {
			return call, Fault{}, limited
		}
	}
	if s.fault == nil {
		return call, Fault{}, nil
	}
	return call, s.fault(call), nil
}

func (s *Server) leave(call Call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.inside[call.license]--; s.inside[call.license] == 0 {
		delete(s.inside, call.license)
	}
}

// work is what the real API does: check everything, then free the device.
func (s *Server) work(r *http.Request, req request, problem string) reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	if code := s.authorize(r.Header); code != "" {
		return refuse(code)
	}
	if problem == "" {
		problem = req.check()
	}
	if problem == "" && r.URL.Path == bundlePath {
		problem = s.rows.deactivateBundle(req)
	} else if problem == "" {
		problem = s.rows.deactivate(req)
	}
	if problem != "" {
		return refuse(problem)
	}
	if s.quoted {
		return reply{status: http.StatusOK, name: success, body: `"` + success + `"`, kind: jsonText}
	}
	return reply{status: http.StatusOK, name: success, body: success, kind: plainText}
}

// write sends an answer whole and counts it.
func (s *Server) write(w http.ResponseWriter, a reply) {
	w.Header().Set("X-Request-Id", "fake-"+strconv.Itoa(s.count(a.name)))
	if a.kind != "" {
		w.Header().Set("Content-Type", a.kind)
	}
	if a.retryAfter != "" {
		w.Header().Set("Retry-After", a.retryAfter)
	}
	w.WriteHeader(a.status)
	_, _ = io.WriteString(w, a.body) // a client that has left is none of our troubles
}
