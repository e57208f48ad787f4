"""The names of the original SDK that are not part of this package, and what to use instead.

Data only. `tests/python/original/names.toml` has all names of the original; a test imports each.
"""

from __future__ import annotations

ADVICE = {
    "media": "`remotemedia.read_audio` reads audio files; decode video with PyAV, whose frames are "
    "arrays that any node takes",
    "remote": "nodes run on this machine; add the node itself to the pipeline, where "
    "`isolated=True` gives it a worker process of its own",
    "control": "there is no control server; `Pipeline.session()` feeds a running pipeline and "
    "returns its outputs",
    "webrtc": "receive frames with aiortc, and give them to `Pipeline.session()`",
    "packaging": "nothing has to be packaged, since classes of your program travel to workers by "
    "themselves; `Pipeline.serialize()` writes a manifest",
    "database": "store what `Pipeline.serialize()` returns, and read it with `Pipeline.from_json`",
    "models": "load the model in `initialize` of a node of your own, with the library that "
    "provides it",
    "processes": "pipelines start, connect and end their worker processes by themselves; use "
    "`Pipeline.run` or `Pipeline.session`",
    "demos": "it was a demonstration of the original; write a class of your own",
}
"""By subject, what to use instead."""

NAMES = (
    ("media", "nodes nodes.sink", "MediaWriterNode"),
    ("media", "nodes.sink", "MediaWriterInput MediaWriterError"),
    (
        "media",
        "nodes nodes.source",
        "AudioTrackSource LocalMediaReaderNode MediaReaderNode TrackSource VideoTrackSource",
    ),
    ("media", "nodes.source", "MediaReaderError"),
    ("media", "nodes nodes.video", "VideoBuffer VideoResizer VideoTransform"),
    (
        "media",
        "nodes.video",
        "VideoBufferError VideoResizerError VideoTransformError VideoBufferInput VideoBufferOutput "
        "VideoResizerInput VideoResizerOutput VideoTransformInput VideoTransformOutput",
    ),
    ("media", "data data.video", "PixelFormat VideoCodec VideoFrame"),
    ("remote", "nodes nodes.remote", "RemoteExecutionNode RemoteObjectExecutionNode"),
    (
        "remote",
        "nodes nodes.grpc_source",
        "GRPCStreamManager GRPCStreamSource get_grpc_stream_manager",
    ),
    ("remote", "remote remote.client", "RemoteExecutionClient"),
    (
        "remote",
        "remote remote.generator_proxy",
        "BatchedRemoteGeneratorProxy RemoteGeneratorProxy create_generator_proxy",
    ),
    ("remote", "remote remote.proxy_client", "RemoteProxy RemoteProxyClient remote_class"),
    (
        "remote",
        "remote.proxy_enhanced",
        "RemoteProxy RemoteProxyClient SERVER_SIDE_ENHANCEMENT",
    ),
    (
        "remote",
        "remote remote.streaming_methods",
        "RemoteStreamIterator StreamConfig StreamingDataProcessor StreamingMixin "
        "stream_from_remote",
    ),
    (
        "remote",
        "remote remote.streaming_proxy",
        "STREAMING_SERVER_SUPPORT StreamingRemoteProxy StreamingRemoteProxyClient",
    ),
    (
        "control",
        "control control.client",
        "AttachedSession ControlAddressError Data InterceptRequest NodeState SessionNotFoundError "
        "UnknownNodeError attach",
    ),
    ("webrtc", "webrtc webrtc.manager", "WebRTCManager"),
    (
        "webrtc",
        "webrtc webrtc.pipeline_processor",
        "AudioOutputTrack StreamMetadata WebRTCDataChannelNode WebRTCPipelineProcessor "
        "WebRTCStreamSink WebRTCStreamSource",
    ),
    ("webrtc", "webrtc webrtc.server", "WebRTCConfig WebRTCConnection WebRTCServer"),
    ("packaging", "packaging packaging.code_packager", "CodePackager"),
    ("packaging", "packaging packaging.dependency_analyzer", "DependencyAnalyzer ImportVisitor"),
    ("database", "persistence persistence.database", "DatabaseManager"),
    ("database", "persistence persistence.migrations", "MigrationManager"),
    (
        "database",
        "persistence persistence.models",
        "AccessLevel NodeVersion PipelineVersion StoredNode StoredPipeline User",
    ),
    ("database", "persistence persistence.node_store", "NodeStore"),
    ("database", "persistence persistence.pipeline_store", "PipelineStore"),
    ("models", "nodes nodes.ml nodes.ml.qwen", "Qwen2_5OmniNode"),
    ("models", "nodes nodes.ml nodes.ml.transformers_pipeline", "TransformersPipelineNode"),
    ("models", "nodes nodes.ml nodes.ml.ultravox", "UltravoxNode"),
    (
        "models",
        "nodes.ml nodes.ml.whisper_transcription",
        "TranscriptionDelta WhisperTranscriptionNode WordTiming WordUpdate",
    ),
    ("models", "nodes nodes.transcription", "RustWhisperTranscriber WhisperXTranscriber"),
    ("models", "nodes nodes.ml nodes.ml.lfm2_audio", "LFM2AudioNode"),
    ("models", "nodes.ml nodes.ml.lfm2_audio_mlx", "LFM2AudioMlxNode LFM2AudioNode"),
    ("models", "nodes.ml.lfm2_audio nodes.ml.lfm2_audio_mlx", "ConversationState"),
    ("models", "nodes.ml nodes.ml.lfm2_text", "LFM2TextNode"),
    ("models", "nodes.ml nodes.ml.personaplex_audio_mlx", "PersonaPlexAudioMlxNode"),
    ("models", "nodes.ml.personaplex_audio_mlx", "ConversationState"),
    ("models", "nodes.ml nodes.ml.qwen_text_mlx", "QwenTextMlxNode ToolSpec"),
    ("models", "nodes.ml nodes.ml.qwen_tts_mlx", "QwenTTSMlxNode"),
    ("models", "nodes.ml nodes.ml.whisper_stt", "WhisperSTTNode"),
    ("models", "nodes.omniasr", "OmniASRNode"),
    ("models", "nodes nodes.simple_pytorch_test", "SimplePyTorchNode"),
    (
        "models",
        "nodes.tts",
        "AUX_PORT_KEY RUNTIME_DATA_AVAILABLE audio_to_numpy main numpy_to_audio",
    ),
    ("models", "nodes nodes.tts", "KokoroTTSNode"),
    ("models", "nodes.tts_cosyvoice3", "CosyVoice3TTSNode numpy_to_audio"),
    ("models", "nodes nodes.tts_vibevoice", "VibeVoiceTTSNode"),
    ("models", "nodes.tts_vibevoice", "numpy_to_audio"),
    ("models", "nodes.tts_voxtral", "VoxtralTTSNode numpy_to_audio"),
    ("processes", "core.multiprocessing.audio_pressure", "AudioPressureMixin"),
    (
        "processes",
        "core.multiprocessing.channel",
        "ChannelStats Publisher Subscriber connect_nodes create_channel",
    ),
    ("processes", "core.multiprocessing.pipeline", "ConnectionConfig PipelineBuilder"),
    (
        "processes",
        "core.multiprocessing.runner",
        "NodeRunner detect_container_environment main parse_arguments run setup_signal_handlers",
    ),
    ("processes", "core.multiprocessing.session", "InitProgress InitStatus SessionStatus"),
    ("processes", "core.multiprocessing.node", "setup_signal_handlers"),
    (
        "demos",
        "examples.objects",
        "Calculator MathOperations SimpleCounter StringProcessor TodoList",
    ),
    ("demos", "examples.test_classes", "Counter DataProcessor"),
    (
        "demos",
        "examples.test_method_types",
        "AsyncGeneratorMethods AsyncMethods GeneratorMethods MixedMethods SpecialMethods "
        "SyncMethods",
    ),
    ("demos", "utils.test_objects", "TestStreamingObject"),
    ("demos", "nodes.multiprocess_test_nodes", "PassthroughNode TestProcessorNode"),
    ("demos", "nodes.test_echo", "EchoNode"),
    ("demos", "nodes.text_collector", "TextCollectorNode main"),
)
"""Rows of a subject, modules below `remotemedia`, and names that each of these modules has."""

MOVED = (
    (
        "core.multiprocessing.pipeline",
        "core.multiprocessing.node",
        "NodeConfig",
    ),
    ("core.multiprocessing.pipeline", "core.pipeline", "Pipeline"),
    ("core.multiprocessing.session", "core.session", "Session"),
    (
        "runtime_wrapper",
        "runtime.functions",
        "execute_pipeline execute_pipeline_with_input",
    ),
    ("runtime_data", "core.multiprocessing.data", "RuntimeData"),
)
"""Rows of a module without a file here, the module that has its names now, and these names."""

__all__ = ["ADVICE", "MOVED", "NAMES"]
