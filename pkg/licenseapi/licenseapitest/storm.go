package licenseapitest

import (
	"hash/fnv"
	"math/rand/v2"
)

// Storm returns faults of every kind at random: each of the first calls of each license fails with this chance; 0 calls
// means all of them. The seed decides the fault of a license's nth call, in any order of arrival.
func Storm(seed uint64, calls int, chance float64) func(Call) Fault {
	return func(c Call) Fault {
		if calls > 0 && c.Times > calls {
			return Fault{}
		}
		license := fnv.New64a()
		_, _ = license.Write([]byte(c.license))
		rng := rand.New(rand.NewPCG(seed+uint64(c.Times), license.Sum64())) //nolint:gosec // faults, not secrets
		if rng.Float64() >= chance {
			return Fault{}
		}
		kinds := []Fault{
			answer(503, nil),
			{Reset: true},
			{Reset: true, After: true},
			{Status: 400, Body: ErrorBody(400, "license_not_found", "a text that breaks off"), Cut: true},
			{Cut: true, After: true},
			page(400),
			answer(429, nil),
		}
		return kinds[rng.IntN(len(kinds))]
	}
}
