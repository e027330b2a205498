/** `/v1/models`: models for training and chat. */
import { createRoute, type OpenAPIHono, z } from "../../../packages/zod_openapi.ts";
import { createApp } from "../app_base.ts";
import { errors } from "../error_responses.ts";
import { deletedModelSchema, modelListSchema, modelSchema, toModel } from "../../protocol/model.ts";
import type { Services } from "../../services.ts";
import { answer } from "../answer.ts";

const params = z.object({
  model: z.string().openapi({ description: "A model name, with slashes literal or as %2F" }),
});

const list = createRoute({
  method: "get",
  path: "/v1/models",
  operationId: "listModels",
  tags: ["Models"],
  summary: "List base models, results of jobs and their checkpoints",
  responses: answer("All models", modelListSchema),
});

const retrieve = createRoute({
  method: "get",
  path: "/v1/models/{model}",
  operationId: "retrieveModel",
  tags: ["Models"],
  summary: "Retrieve a model",
  request: { params },
  responses: { ...answer("The model", modelSchema), ...errors(404) },
});

const remove = createRoute({
  method: "delete",
  path: "/v1/models/{model}",
  operationId: "deleteModel",
  tags: ["Models"],
  summary: "Delete a job's result that nothing depends on",
  request: { params },
  responses: { ...answer("Deleted", deletedModelSchema), ...errors(404, 409) },
});

/** Names contain slashes (`org/name`), which not every client encodes. */
const ONE_MODEL = "/v1/models/:model{.+}";

export function modelRoutes({ models }: Pick<Services, "models">): OpenAPIHono {
  const app = createApp();

  app.openapi(list, async (context) => {
    return context.json({ object: "list" as const, data: (await models.list()).map(toModel) }, 200);
  });

  // OpenAPI paths cannot express a parameter with slashes: these are documented separately.
  app.openAPIRegistry.registerPath(retrieve);
  app.get(ONE_MODEL, async (context) => {
    return context.json(toModel(await models.get(context.req.param("model"))));
  });

  app.openAPIRegistry.registerPath(remove);
  app.delete(ONE_MODEL, async (context) => {
    const id = context.req.param("model");
    await models.delete(id);
    return context.json({ id, object: "model" as const, deleted: true as const });
  });

  return app;
}
