package queue

// visibilityHeap is a heap (container/heap) of messages: the one that becomes visible first is on top.
type visibilityHeap []*message

func (h visibilityHeap) Len() int { return len(h) }

func (h visibilityHeap) Less(i, j int) bool {
	if !h[i].visibleAt.Equal(h[j].visibleAt) {
		return h[i].visibleAt.Before(h[j].visibleAt)
	}
	return h[i].sequence < h[j].sequence
}

func (h visibilityHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].heapIndex, h[j].heapIndex = i, j
}

func (h *visibilityHeap) Push(x any) {
	msg := x.(*message)
	msg.heapIndex = len(*h)
	*h = append(*h, msg)
}

func (h *visibilityHeap) Pop() any {
	old := *h
	last := len(old) - 1
	msg := old[last]
	old[last] = nil
	*h = old[:last]
	return msg
}
