/** The server's routes behind their middleware. Independent of processes, ports and signals. */
import type { OpenAPIHono } from "../../packages/zod_openapi.ts";
import { cors } from "../../packages/hono.ts";
import { HTTPException } from "../../packages/hono.ts";
import type { Context } from "../../packages/hono.ts";
import { diskFault } from "../../files/disk_error.ts";
import { explain, UserError } from "../../options/user_error.ts";
import { allowedMethods } from "./allowed_methods.ts";
import { ApiError, diskRefusal } from "../api_error.ts";
import { REQUEST } from "../protocol/spelling.ts";
import { createApp } from "./app_base.ts";
import { endWithAccess } from "./middleware/access.ts";
import { authenticate } from "./middleware/authenticate.ts";
import { limitBody } from "./middleware/body.ts";
import { isLoopback, requestFields, type ServerEnv } from "./middleware/context.ts";
import { concurrencyLimit, rateLimit } from "./middleware/rate_limit.ts";
import { requestLog } from "./middleware/request_log.ts";
import { sameOrigin } from "./middleware/same_origin.ts";
import { securityHeaders } from "./middleware/security_headers.ts";
import { observeRequests } from "./prometheus.ts";
import { chatRoutes } from "./routes/chat.ts";
import { completionRoutes } from "./routes/completions.ts";
import { dashboardRoutes } from "./routes/dashboard.ts";
import { docsRoutes } from "./routes/docs.ts";
import { eventRoutes } from "./routes/events.ts";
import { fileRoutes } from "./routes/files.ts";
import { fineTuningRoutes } from "./routes/fine_tuning.ts";
import { healthRoutes } from "./routes/health.ts";
import { metricsRoutes } from "./routes/metrics.ts";
import { modelRoutes } from "./routes/models.ts";
import { isWorkersUpload, poolRoutes } from "./routes/pool.ts";
import { pretrainingRoutes } from "./routes/pretraining.ts";
import type { ServerLog } from "../server_log.ts";
import type { Services } from "../services.ts";

export interface RequestOptions {
  /** Logs each request. */
  readonly verbose?: boolean;
}

/** Milliseconds within which a JSON body must arrive. */
const BODY_TIMEOUT = 30_000;

/** Requests per minute for each key or address, on a server that others can reach. */
const PUBLIC_RATE = 6000;

const PUBLIC_PATHS = new Set(["/", "/health", "/docs", "/docs/style.css", "/openapi.json"]);

/** Paths that expose no user data: pages that query the API, with a key, for their content. */
const isPublic = (path: string) => PUBLIC_PATHS.has(path) || /^\/assets\/[^/]+$/.test(path);

/** The routes that accept more than JSON. */
const isUpload = (path: string) => path === "/v1/files" || isWorkersUpload(path);

export function createServer(
  services: Services,
  { verbose = false }: RequestOptions = {},
): OpenAPIHono<ServerEnv> {
  const { options, store, serverLog } = services;
  const local = isLoopback(options.host);
  // A server that others can reach needs a key, even after the last one is revoked.
  const open = () => local && !store.keys.anyActive();
  const app = createApp() as unknown as OpenAPIHono<ServerEnv>;

  app.use(requestLog(verbose ? serverLog : undefined));
  app.use(observeRequests(services.metrics));
  app.use(securityHeaders());
  app.use(concurrencyLimit(options.maxRequests));
  app.use(sameOrigin(options, open));
  if (options.corsOrigin) {
    app.use(cors({ origin: options.corsOrigin, exposeHeaders: ["x-request-id", "retry-after"] }));
  }
  app.use(authenticate({ keys: store.keys, open, isPublic }));
  app.use(endWithAccess({ keys: store.keys, open, isPublic, log: serverLog }));
  app.use(rateLimit(options.rateLimit ?? (local ? undefined : PUBLIC_RATE)));
  app.use(limitBody({ maxBytes: options.maxBody * 1024, timeoutMs: BODY_TIMEOUT, isUpload }));

  for (const routes of ROUTES) app.route("/", routes(services));
  app.route("/", docsRoutes(app as unknown as OpenAPIHono, { isPublic, open }));

  const methodsOf = allowedMethods(app);
  app.notFound((context) => unknownRoute(context, methodsOf(context.req.path)).toResponse());
  app.onError((error, context) => answerTo(error, context, serverLog).toResponse());
  return app;
}

const ROUTES: readonly ((services: Services) => OpenAPIHono)[] = [
  dashboardRoutes,
  fileRoutes,
  fineTuningRoutes,
  pretrainingRoutes,
  eventRoutes,
  modelRoutes,
  chatRoutes,
  completionRoutes,
  poolRoutes,
  metricsRoutes,
  healthRoutes,
];

function unknownRoute({ req: { method, path } }: Context<ServerEnv>, methods: string[]): ApiError {
  if (!methods.length) {
    return new ApiError(404, {
      message: `Unknown request URL: ${method} ${path}. /docs lists all endpoints.`,
      code: "unknown_url",
    });
  }
  return new ApiError(405, {
    message: `${method} is not allowed here: ${path} allows ${methods.join(", ")}`,
    code: "method_not_allowed",
    headers: { allow: methods.join(", ") },
  });
}

function answerTo(error: Error, context: Context<ServerEnv>, log: ServerLog): ApiError {
  if (error instanceof ApiError) return error;
  // Thrown by Hono for a body that is not JSON or has the wrong content type.
  if (error instanceof HTTPException && error.status < 500) {
    const code = error.status === 415 ? "unsupported_content_type" : "invalid_json";
    return new ApiError(error.status, { message: error.message, code });
  }
  const fault = diskFault(error);
  if (fault) {
    log.error(error.message, { ...requestFields(context), fault });
    return diskRefusal(fault);
  }
  if (error instanceof UserError) {
    return new ApiError(400, { message: explain(error, REQUEST), code: "invalid_value" });
  }
  log.fault(error, requestFields(context));
  return new ApiError(500, {
    message: `The server failed to process the request. Its id is ${context.get("requestId")}.`,
    type: "server_error",
    code: "internal_error",
  });
}
