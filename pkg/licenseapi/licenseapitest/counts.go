package licenseapitest

import "maps"

// Counts is what the server has done so far.
type Counts struct {
	Calls       int            // of deactivate_license, deactivate_bundle, their offline forms and floating/release
	Warm        int            // GET and HEAD of the base address
	Tokens      int            // OAuth tokens that were issued
	AtOnce      int            // the most calls for one license at the same time
	Connections int            // 0 unless ConnState is the http.Server's
	Answers     map[string]int // by code; license_deactivated, floating_released, token, oauth_url, http_<status>, reset, cut, abandoned (the client closed the connection)
	Management  int            // calls of the Management API; their Answers are management_<status>, management_reset, …
}

// Counts returns a copy of the counts.
func (s *Server) Counts() Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.counts
	c.Answers = maps.Clone(s.counts.Answers)
	return c
}

// count counts an answer and returns how many answers of all kinds there have been.
func (s *Server) count(name string) (total int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts.Answers[name]++
	for _, n := range s.counts.Answers {
		total += n
	}
	return total
}
