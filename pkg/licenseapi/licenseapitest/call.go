package licenseapitest

import (
	"encoding/json"
	"io"
	"net/http"
	"strconv"
)

// The routes of the calls.
const (
	deactivatePath        = Base + "/deactivate_license"
	bundlePath            = Base + "/deactivate_bundle"
	offlinePath           = Base + "/deactivate_offline"
	bundleOfflinePath     = Base + "/deactivate_bundle_offline"
	floatingReleasePath   = Base + "/floating/release" // of a floating cloud license: its device is freed, and the answer is empty
	floatingReleaseAnswer = "floating_released"        // in Counts.Answers
)

func isCall(path string) bool {
	switch path {
	case deactivatePath, bundlePath, offlinePath, bundleOfflinePath, floatingReleasePath:
		return true
	}
	return false
}

func isOffline(path string) bool { return path == offlinePath || path == bundleOfflinePath }

// serveCall counts the call and answers it.
func (s *Server) serveCall(w http.ResponseWriter, r *http.Request) {
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBodyBytes))
	if err != nil {
		s.write(w, refuse("validation_error"))
		return
	}
	req, problem := parseRequest(text)
	if isOffline(r.URL.Path) {
		req, problem = parseOffline(r.Header.Get("Content-Type"), text)
	}
	call, fault, limited := s.enter(r, req)
	defer s.leave(call)

	if limited != nil {
		s.write(w, *limited)
		return
	}
	s.answer(w, r, fault, "", func() reply { return s.work(r, req, problem) })
}

// answer injects the fault before or after the work, and answers. prefix is the prefix of the answer's name in Counts.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, fault Fault, prefix string, work func() reply) {
	if fault.After {
		s.misbehave(w, r, fault, prefix, work())
		return
	}
	if !sleep(r.Context(), fault.Delay) {
		s.count(prefix + "abandoned")
		return
	}
	fault.Delay = 0
	if fault.Status != 0 || fault.Reset {
		s.misbehave(w, r, fault, prefix, reply{})
		return
	}
	s.misbehave(w, r, fault, prefix, work())
}

// enter counts a call and returns its fault.
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

// work does what the real API does: it checks everything, then frees the device.
func (s *Server) work(r *http.Request, req request, problem string) reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	if code := s.authorize(r.Header); code != "" {
		return refuse(code)
	}
	if problem == "" {
		problem = req.check()
	}
	if problem == "" && req.file != nil {
		problem = s.checkFile(req)
	}
	bundle := r.URL.Path == bundlePath || r.URL.Path == bundleOfflinePath
	written := func(r *row, code string) {
		act := ActDeactivateLicense
		if bundle {
			act = ActDeactivateBundle
		}
		s.ledger.note(act, r.id, text(req.HardwareID), code)
	}
	var freed []string
	if problem == "" && bundle {
		freed, problem = s.rows.deactivateBundle(req, s.now(), written)
	} else if problem == "" {
		problem = s.rows.deactivate(req, s.now(), written)
	}
	switch {
	case problem != "":
		return refuse(problem)
	case r.URL.Path == floatingReleasePath:
		return reply{status: http.StatusOK, name: floatingReleaseAnswer}
	case r.URL.Path == bundleOfflinePath && s.bundleList:
		return listed(freed)
	case s.quoted:
		return reply{status: http.StatusOK, name: success, body: `"` + success + `"`, kind: jsonText}
	}
	return reply{status: http.StatusOK, name: success, body: success, kind: plainText}
}

// listed is the answer that lists the products of the deactivated licenses.
func listed(products []string) reply {
	list := make([]map[string]string, len(products))
	for i, product := range products {
		list[i] = map[string]string{"product": product}
	}
	body, err := json.Marshal(list)
	if err != nil {
		body = nil // texts are always JSON
	}
	return reply{status: http.StatusOK, name: success, body: string(body), kind: jsonText}
}

// write sends a complete answer and counts it.
func (s *Server) write(w http.ResponseWriter, a reply) {
	w.Header().Set("X-Request-Id", "fake-"+strconv.Itoa(s.count(a.name)))
	if a.kind != "" {
		w.Header().Set("Content-Type", a.kind)
	}
	if a.retryAfter != "" {
		w.Header().Set("Retry-After", a.retryAfter)
	}
	w.WriteHeader(a.status)
	_, _ = io.WriteString(w, a.body) // a client may have closed the connection
}
