package queue

// order is a heap (container/heap) of messages: the one that becomes visible first is on top.
type order []*message

func (o order) Len() int { return len(o) }

func (o order) Less(i, j int) bool {
	if !o[i].visibleAt.Equal(o[j].visibleAt) {
		return o[i].visibleAt.Before(o[j].visibleAt)
	}
	return o[i].place < o[j].place
}

func (o order) Swap(i, j int) {
	o[i], o[j] = o[j], o[i]
	o[i].position, o[j].position = i, j
}

func (o *order) Push(x any) {
	msg := x.(*message)
	msg.position = len(*o)
	*o = append(*o, msg)
}

func (o *order) Pop() any {
	old := *o
	last := len(old) - 1
	msg := old[last]
	old[last] = nil
	*o = old[:last]
	return msg
}
