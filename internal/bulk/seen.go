package bulk

import (
	"crypto/sha256"
	"encoding/binary"
	"hash/maphash"
	"math"
	"math/bits"
)

// digest is 96 bits of a SHA-256: enough that two of a million rows differ (one chance in 10^17), few enough that a
// million of them take less than 20 MB.
type digest [3]uint32

func digestOf(parts ...string) digest {
	text := make([]byte, 0, 512) // on the stack; longer ones are few
	for _, part := range parts {
		text = binary.LittleEndian.AppendUint64(text, uint64(len(part)))
		text = append(text, part...)
	}
	sum := sha256.Sum256(text)
	d := digest{binary.LittleEndian.Uint32(sum[0:]), binary.LittleEndian.Uint32(sum[4:]), binary.LittleEndian.Uint32(sum[8:])}
	if d == (digest{}) {
		d[0] = 1 // zero marks a free slot
	}
	return d
}

// seen is a set of digests: 256 tables with open addressing, of which only one at a time is copied when it grows. A map
// takes twice the memory. The zero value is empty.
type seen struct {
	tables [256]table
}

// add adds a digest, and reports whether it is new.
func (s *seen) add(d digest) bool {
	return s.tables[d[0]&0xff].add(d)
}

// has reports whether a digest is in the set.
func (s *seen) has(d digest) bool {
	t := &s.tables[d[0]&0xff]
	return len(t.slots) > 0 && *t.slot(d) == d
}

type table struct {
	slots []digest
	n     int
}

func (t *table) add(d digest) bool {
	if 10*t.n >= 8*len(t.slots) { // at most 80 % full
		old := t.slots
		t.slots = make([]digest, max(16, len(old)+len(old)/4))
		for _, o := range old {
			if o != (digest{}) {
				*t.slot(o) = o
			}
		}
	}
	slot := t.slot(d)
	if *slot == d {
		return false
	}
	*slot = d
	t.n++
	return true
}

// slot returns the digest's own slot, or the free one where it belongs.
func (t *table) slot(d digest) *digest {
	at := int(uint64(d[1]) * uint64(len(t.slots)) >> 32)
	for t.slots[at] != d && t.slots[at] != (digest{}) {
		if at++; at == len(t.slots) {
			at = 0
		}
	}
	return &t.slots[at]
}

const (
	exactCount = 1 << 16 // how many different texts are counted exactly
	mapBits    = 1 << 23 // of the bitmap that estimates more: 1 MiB, an error of 0.03 % at a million
)

// distinct counts different texts. Above exactCount it estimates, by linear counting (Whang et al., "A linear-time
// probabilistic counting algorithm", ACM TODS 15, 1990).
type distinct struct {
	seed   maphash.Seed
	exact  map[uint64]struct{} // nil once there are too many
	bitmap []uint64
}

func (d *distinct) add(text string) {
	if d.bitmap == nil {
		d.seed, d.exact, d.bitmap = maphash.MakeSeed(), map[uint64]struct{}{}, make([]uint64, mapBits/64)
	}
	h := maphash.String(d.seed, text)
	d.bitmap[h%mapBits/64] |= 1 << (h % 64)
	if d.exact == nil {
		return
	}
	if d.exact[h] = struct{}{}; len(d.exact) > exactCount {
		d.exact = nil
	}
}

// count returns the number, and whether it is exact.
func (d *distinct) count() (n int, exact bool) {
	if d.exact != nil || d.bitmap == nil {
		return len(d.exact), true
	}
	free := 0
	for _, word := range d.bitmap {
		free += bits.OnesCount64(^word)
	}
	return int(math.Round(-mapBits * math.Log(float64(max(free, 1))/mapBits))), false
}
