package view

// Cost is what calls cost.
type Cost struct {
	Frame
	Lead     string
	Currency string
	Known    bool // the policy names some amount
	Services []CostService
	Budgets  []BudgetRow
}

// CostService is one service: what its calls cost in all, and the rows of that.
type CostService struct {
	Name, Sum string
	Rows      []CostRow
}

// CostRow is one provider of a service in a region.
type CostRow struct{ Provider, Region, Calls, Cost, Thousand, Note string }

// BudgetRow is a service's spend budget in a region, at its busiest agent.
type BudgetRow struct {
	Service, Region, Limit, Spent, Left, Then, Resets string
	Level                                             Level
}
