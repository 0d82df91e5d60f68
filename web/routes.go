package web

import "github.com/labstack/echo/v4"

// routes lists everything that is served. Pages and their forms first, then the API; what both have is one function.
func (w *Web) routes(e *echo.Echo) {
	e.GET("/static/*", w.assets.serve)
	e.GET("/", w.overview)
	e.GET("/routing", w.routingFirst)
	e.GET("/routing.yaml", w.policyText)
	e.GET("/routing/:service", w.routing)
	e.POST("/routing/:service/:region", w.applyWeights)
	e.POST("/undo/:service", w.undo)
	e.GET("/transactions", w.transactions)
	e.GET("/transactions/:id", w.transaction)
	e.POST("/break", w.breakForm)
	e.POST("/break/:id/stop", w.stopForm)
	e.POST("/preferences", w.preferences)
	e.GET("/live/:page", w.live)
	e.GET("/live/:page/:service", w.live)

	e.GET("/openapi.json", w.document)
	w.routesOfAPI(e.Group("/api/v1")) // without middleware of its own: with one, echo answers a wrong method with 404
}

func (w *Web) routesOfAPI(v1 *echo.Group) {
	v1.GET("/policy", w.policy)
	v1.PUT("/policy", w.putPolicy)
	v1.POST("/policy/plan", w.planPolicy)
	v1.POST("/policy/rollback", w.rollBack)
	v1.GET("/policy/revisions", w.revisions)
	v1.GET("/policy/revisions/:revision", w.revision)
	v1.PATCH("/services/:service/weights/:region", w.patchWeights)
	v1.GET("/providers", w.providers)
	v1.GET("/providers/:provider", w.providers)
	v1.POST("/providers/:provider/drain", w.drain)
	v1.POST("/providers/:provider/resume", w.resume)
	v1.GET("/regions", w.regions)
	v1.GET("/regions/:region", w.regions)
	v1.GET("/transactions", w.transactions)
	v1.GET("/transactions/:id", w.transactionRow)
	v1.GET("/transactions/:id/why", w.transaction)
	v1.GET("/drills", w.drills)
	v1.POST("/drills", w.giveDrill)
	v1.GET("/drills/:id", w.drill)
	v1.DELETE("/drills/:id", w.endDrill)
	v1.GET("/events", w.events)
	v1.GET("/feed/:region", w.pull)
	v1.POST("/reports", w.takeReport)
	v1.GET("/cluster", w.cluster)
	v1.GET("/cluster/agents", w.agents)
	v1.POST("/cluster/transfer", w.transferLeader)
	v1.POST("/cluster/nodes", w.addNode)
	v1.DELETE("/cluster/nodes/:id", w.removeNode)
	v1.GET("/cluster/backup", w.backup)
	v1.POST("/cluster/restore", w.restore)
	v1.GET("/health", w.health)
	if w.cfg.Sandbox != nil {
		v1.GET("/sandbox/faults", w.faults)
		v1.POST("/sandbox/faults", w.runFault)
		v1.DELETE("/sandbox/faults/:id", w.stopFault)
		v1.GET("/sandbox/books", w.books)
	}
}
