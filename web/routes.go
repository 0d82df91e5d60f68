package web

import "github.com/labstack/echo/v4"

// routes lists everything that is served. Pages and their forms first, then the API; what both have is one function.
func (w *Web) routes(e *echo.Echo) {
	e.GET("/static/*", w.assets.serve)
	e.GET("/", w.overview)
	e.GET("/routing", w.routingFirst)
	e.GET("/routing.yaml", w.policyText)
	e.GET("/routing/:service", w.routing)
	e.GET("/routing/:service/what-if", w.whatIfPart)
	e.POST("/routing/:service/try", w.tryForm)
	e.POST("/routing/:service/:region", w.applyWeights)
	e.POST("/routing/:service/:region/shift", w.beginShiftForm)
	e.POST("/undo/:service", w.undo)
	for _, act := range acts {
		e.POST("/shifts/:id/"+string(act), w.moveShiftForm(act))
	}
	e.GET("/regions", w.regionsPage)
	e.GET("/regions/:region", w.regionPage)
	e.GET("/providers", w.providersPage)
	e.GET("/providers/:provider", w.providerPage)
	e.POST("/providers/:provider/drain", w.drainPost)
	e.POST("/providers/:provider/resume", w.resumePost)
	e.POST("/providers/:provider/probe", w.probePost)
	w.routesOfRunning(e)
	w.routesOfTraces(e)
	e.GET("/api", w.apiPage)
	e.GET("/go", w.palette)
	e.POST("/break", w.breakForm)
	e.POST("/break/:id/stop", w.stopForm)
	e.POST("/naive", w.naiveForm)
	e.POST("/preferences", w.preferences)
	e.GET("/live/:page", w.live)
	e.GET("/live/:page/:service", w.live)

	e.GET("/openapi.json", w.document)
	w.routesOfAPI(e.Group("/api/v1")) // without middleware of its own: with one, echo answers a wrong method with 404
}

// routesOfRunning are what changed, what runs and what it costs.
func (w *Web) routesOfRunning(e *echo.Echo) {
	e.GET("/changes", w.changes)
	e.GET("/changes/:revision", w.change)
	e.GET("/changes/:revision/policy.yaml", w.changeText)
	e.POST("/changes/:revision/rollback", w.rollbackPost)
	e.GET("/cluster", w.clusterPage)
	e.GET("/cluster/backup", w.backup)
	e.POST("/cluster/transfer", w.transferForm)
	e.POST("/cluster/nodes", w.addNodeForm)
	e.POST("/cluster/nodes/:id/remove", w.removeNodeForm)
	e.POST(restoreForm, w.restorePost)
	e.GET("/cost", w.costsPage)
}

// routesOfTraces are calls, sessions and hints.
func (w *Web) routesOfTraces(e *echo.Echo) {
	e.GET("/transactions", w.transactions)
	e.GET("/transactions/:id", w.transaction)
	e.GET("/transactions/verify", w.verifyReview)
	e.POST("/transactions/verify", w.verifyPost)
	e.GET("/transactions/verify/:order", w.verifiedPage)
	e.POST("/transactions/:id/verify", w.verify)
	e.POST("/transactions/:id/resolve", w.resolve)
	e.GET("/sessions", w.sessionsPage)
	e.GET("/sessions/:id", w.sessionPage)
	e.GET("/hints", w.hintsPage)
	e.POST("/hints/replay", w.hintsReplayPost)
	e.POST("/hints/throttle", w.hintsThrottlePost)
	e.POST("/hints/unthrottle", w.hintsUnthrottlePost)
}

func (w *Web) routesOfAPI(v1 *echo.Group) {
	v1.GET("/policy", w.policy)
	v1.PUT("/policy", w.putPolicy)
	v1.POST("/policy/plan", w.planPolicy)
	v1.POST("/policy/rollback", w.rollBack)
	v1.GET("/policy/revisions", w.revisions)
	v1.GET("/policy/revisions/:revision", w.revision)
	v1.PATCH("/services/:service/weights/:region", w.patchWeights)
	v1.POST("/services/:service/shifts", w.beginShift)
	v1.GET("/shifts", w.listShifts)
	v1.GET("/shifts/:id", w.getShift)
	for _, act := range acts {
		v1.POST("/shifts/:id/"+string(act), w.moveShift(act))
	}
	v1.POST("/decisions", w.decideTest)
	v1.GET("/providers", w.providers)
	v1.GET("/providers/:provider", w.providers)
	v1.POST("/providers/:provider/drain", w.drain)
	v1.POST("/providers/:provider/resume", w.resume)
	v1.POST("/providers/:provider/probe", w.probe)
	v1.GET("/contracts", w.contracts)
	v1.GET("/contracts/:contract", w.contracts)
	v1.GET("/regions", w.regions)
	v1.GET("/regions/:region", w.regions)
	v1.GET("/transactions", w.transactions)
	v1.GET("/transactions/:id", w.transactionRow)
	v1.GET("/transactions/:id/why", w.transaction)
	v1.POST("/transactions/verify", w.verifyAll)
	v1.GET("/transactions/verify/:order", w.verifiedOrder)
	v1.POST("/transactions/:id/verify", w.verify)
	v1.POST("/transactions/:id/resolve", w.resolve)
	v1.GET("/sessions", w.sessions)
	v1.GET("/sessions/:id", w.sessionRow)
	v1.GET("/sessions/:id/verify", w.verifySession)
	v1.GET("/hints", w.hints)
	v1.POST("/hints/replay", w.replayHints)
	v1.POST("/hints/throttle", w.throttleHints)
	v1.DELETE("/hints/throttle", w.unthrottleHints)
	v1.GET("/drills", w.drills)
	v1.POST("/drills", w.giveDrill)
	v1.GET("/drills/:id", w.drill)
	v1.DELETE("/drills/:id", w.endDrill)
	v1.GET("/costs", w.costsAPI)
	v1.GET("/events", w.events)
	v1.GET("/feed/:region", w.pull)
	v1.POST("/reports", w.takeReport)
	w.routesOfCluster(v1)
	if w.cfg.Sandbox != nil {
		w.routesOfSandbox(v1)
	}
}

func (w *Web) routesOfCluster(v1 *echo.Group) {
	v1.GET("/cluster", w.cluster)
	v1.GET("/cluster/agents", w.agents)
	v1.POST("/cluster/transfer", w.transferLeader)
	v1.POST("/cluster/nodes", w.addNode)
	v1.DELETE("/cluster/nodes/:id", w.removeNode)
	v1.GET("/cluster/backup", w.backup)
	v1.POST("/cluster/restore", w.restore)
	v1.GET("/health", w.health)
}

// routesOfSandbox are `segue dev`'s alone.
func (w *Web) routesOfSandbox(v1 *echo.Group) {
	v1.GET("/sandbox/faults", w.faults)
	v1.POST("/sandbox/faults", w.runFault)
	v1.DELETE("/sandbox/faults/:id", w.stopFault)
	v1.GET("/sandbox/books", w.books)
	v1.GET("/sandbox/naive", w.naive)
	v1.POST("/sandbox/naive", w.naiveOn)
	v1.DELETE("/sandbox/naive", w.naiveOff)
}
